"""What secrets look like, by provider: templates of the values and the names that they are given.

Written from what providers document of their tokens, apart from the rules (unrote.pii.secrets): a
rule that has a form wrong is to be seen here. A third of the providers, by a hash of their names,
was held out while the rules were written (`is_held_out`).
"""

import zlib
from typing import NamedTuple

HEX32 = "{hex:32}"


class Provider(NamedTuple):
    """templates: of the value (unrote.pii.secret_templates). names: variables that hold it.

    anywhere: the value says by itself what it is; without, only its name does.
    """

    name: str
    templates: tuple[str, ...]
    names: tuple[str, ...]
    anywhere: bool = True


def is_held_out(provider: str) -> bool:
    return zlib.crc32(provider.encode()) % 3 == 0


def _is(name: str, names: str, *templates: str, anywhere: bool = True) -> Provider:
    return Provider(name, templates, tuple(names.split()), anywhere)


PROVIDERS = (
    _is("1password", "OP_SERVICE_ACCOUNT_TOKEN", "ops_eyJ{base64url:250-300}"),
    _is("adafruit", "ADAFRUIT_IO_KEY", "aio_{alnum:28}"),
    _is("age", "AGE_KEY identity", "AGE-SECRET-KEY-1{uppernum:58}"),
    _is("airtable", "AIRTABLE_TOKEN airtable_pat", "pat{alnum:14}.{hex:64}"),
    _is("alibaba", "ALIBABA_ACCESS_KEY_ID access_key_id", "LTAI{alnum:20}"),
    _is(
        "anthropic",
        "ANTHROPIC_API_KEY anthropic_key x-api-key",
        "sk-ant-api03-{base64url:93}AA",
        "sk-ant-admin01-{base64url:93}AA",
        "sk-ant-oat01-{base64url:93}AA",
    ),
    _is("artifactory", "ARTIFACTORY_API_KEY", "AKCp{alnum:69}"),
    _is("asana", "ASANA_CLIENT_SECRET asana_token", "{hex:32}", anywhere=False),
    _is("atlassian", "JIRA_API_TOKEN atlassian_token", "ATATT3xFfGF0{base64url:171}={HEX:8}"),
    _is("aws-id", "AWS_ACCESS_KEY_ID aws_access_key_id", "AKIA{base32:16}", "ASIA{base32:16}"),
    _is(
        "aws-secret", "AWS_SECRET_ACCESS_KEY aws_secret_access_key", "{base64:40}", anywhere=False
    ),
    _is("azure-ad", "AZURE_CLIENT_SECRET client_secret", "{alnum:3}8Q~{base64url:34}"),
    _is("azure-devops", "AZURE_DEVOPS_PAT", "{alnum:76}AZDO{alnum:4}"),
    _is(
        "azure-storage",
        "AZURE_STORAGE_CONNECTION_STRING",
        "DefaultEndpointsProtocol=https;AccountName={lower:9};AccountKey=«{base64:86}==»"
        ";EndpointSuffix=core.windows.net",
        "Endpoint=sb://{lower:8}.servicebus.windows.net/;SharedAccessKeyName=Root;"
        "SharedAccessKey=«{base64:43}=»",
    ),
    _is(
        "azure-sas",
        "SAS_URL blob_url",
        "https://{lower:9}.blob.core.windows.net/c/f.csv?sv=2022-11-02&ss=b&se=2027-01-01"
        "&sp=r&sig=«{base64url:41}%3D»",
    ),
    _is("bitbucket", "BITBUCKET_APP_PASSWORD", "ATBB{alnum:32}"),
    _is("brevo", "BREVO_API_KEY", "xkeysib-{hex:64}-{alnum:16}"),
    _is("buildkite", "BUILDKITE_TOKEN", "bkua_{hex:40}"),
    _is("circleci", "CIRCLECI_TOKEN", "CCIPAT_{alnum:22}_{hex:40}"),
    _is("cloudflare", "CLOUDFLARE_API_TOKEN CF_API_TOKEN", "{base64url:40}", anywhere=False),
    _is("cloudflare-ca", "CF_ORIGIN_CA_KEY", "v1.0-{hex:24}-{hex:146}"),
    _is("cratesio", "CARGO_REGISTRY_TOKEN", "cio{alnum:32}"),
    _is("databricks", "DATABRICKS_TOKEN", "dapi{hex:32}", "dapi{hex:32}-2"),
    _is("datadog", "DD_API_KEY DATADOG_API_KEY dd_app_key", "{hex:32}", "{hex:40}", anywhere=False),
    _is(
        "digitalocean",
        "DIGITALOCEAN_TOKEN DO_TOKEN",
        "dop_v1_{hex:64}",
        "doo_v1_{hex:64}",
        "dor_v1_{hex:64}",
    ),
    _is(
        "discord",
        "DISCORD_TOKEN bot_token",
        "M{base64url:23}.{base64url:6}.{base64url:27}",
        "O{base64url:25}.{base64url:6}.{base64url:38}",
    ),
    _is(
        "discord-webhook",
        "DISCORD_WEBHOOK",
        "https://discord.com/api/webhooks/{digit:18}/«{base64url:68}»",
    ),
    _is(
        "docker", "DOCKER_PAT DOCKERHUB_TOKEN",
        "dckr_pat_{base64url:27}", "dckr_oat_{base64url:32}",
    ),
    _is("doppler", "DOPPLER_TOKEN", "dp.pt.{alnum:43}", "dp.st.prd.{alnum:43}"),
    _is("dynatrace", "DT_API_TOKEN", "dt0c01.{base32:24}.{base32:64}"),
    _is("facebook", "FB_ACCESS_TOKEN", "EAAM{alnum:150}"),
    _is("figma", "FIGMA_TOKEN", "figd_{base64url:40}"),
    _is("flyio", "FLY_API_TOKEN", "fm2_{base64:120}"),
    _is(
        "gcp-service-account",
        "",
        '{"type": "service_account", "project_id": "{lower:8}", "private_key_id": "{hex:40}", '
        '"private_key": "«-----BEGIN PRIVATE KEY-----\\n{base64:64}\\n{base64:64}\\n{base64:40}=='
        '\\n-----END PRIVATE KEY-----»\\n", "client_id": "{digit:21}"}',
    ),
    _is(
        "github", "GITHUB_TOKEN GH_TOKEN token",
        *(f"gh{kind}_{{alnum:30}}{{github-crc32}}" for kind in "pousr"),
    ),
    _is("github-fine-grained", "GITHUB_TOKEN GH_PAT", "github_pat_{alnum:22}_{alnum:59}"),
    _is(
        "gitlab",
        "GITLAB_TOKEN PRIVATE-TOKEN ci_token",
        "glpat-{base64url:20}",
        "glpat-{base64url:27}.01.{lowernum:9}",
        "glrt-{base64url:20}",
        "gldt-{base64url:20}",
        "glptt-{hex:40}",
    ),
    _is("google-api", "GOOGLE_API_KEY GEMINI_API_KEY maps_key", "AIza{base64url:35}"),
    _is("google-oauth", "GOOGLE_CLIENT_SECRET", "GOCSPX-{base64url:28}"),
    _is("google-access", "GOOGLE_ACCESS_TOKEN", "ya29.{base64url:120-200}"),
    _is("grafana", "GRAFANA_TOKEN", "glsa_{alnum:32}_{hex:8}", "glc_eyJ{base64:100}"),
    _is("groq", "GROQ_API_KEY", "gsk_{alnum:52}"),
    _is("heroku", "HEROKU_API_KEY", "HRKU-AA{base64url:58}"),
    _is("hubspot", "HUBSPOT_TOKEN", "pat-na1-{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}"),
    _is("huggingface", "HF_TOKEN HUGGING_FACE_HUB_TOKEN", "hf_{letter:34}"),
    _is(
        "jwt",
        "ACCESS_TOKEN id_token jwt",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{base64url:60-200}.{base64url:43}",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{base64url:200}.{base64url:342}",
    ),
    _is("langsmith", "LANGSMITH_API_KEY", "lsv2_pt_{hex:32}_{hex:10}"),
    _is("linear", "LINEAR_API_KEY", "lin_api_{alnum:40}"),
    _is("mailchimp", "MAILCHIMP_API_KEY", "{hex:32}-us12"),
    _is("mailgun", "MAILGUN_API_KEY", "key-{hex:32}", "{hex:32}-{hex:8}-{hex:8}"),
    _is("mapbox", "MAPBOX_SECRET", "sk.eyJ1Ijoi{base64url:60}.{base64url:22}"),
    _is("netlify", "NETLIFY_AUTH_TOKEN", "nfp_{alnum:36}"),
    _is("newrelic", "NEW_RELIC_API_KEY", "NRAK-{uppernum:27}", "NRII-{base64url:32}"),
    _is("notion", "NOTION_TOKEN", "secret_{alnum:43}", "ntn_{digit:11}{alnum:35}"),
    _is("npm", "NPM_TOKEN //registry.npmjs.org/:_authToken", "npm_{alnum:36}"),
    _is("nuget", "NUGET_API_KEY", "oy2{lowernum:43}"),
    _is("okta", "OKTA_API_TOKEN", "00{base64url:40}", anywhere=False),
    _is(
        "openai",
        "OPENAI_API_KEY openai_api_key api_key",
        "sk-{alnum:20}T3BlbkFJ{alnum:20}",
        "sk-proj-{base64url:74}T3BlbkFJ{base64url:74}",
        "sk-svcacct-{base64url:74}T3BlbkFJ{base64url:74}",
        "sk-admin-{base64url:58}T3BlbkFJ{base64url:58}",
        "sk-{alnum:48}",
    ),
    _is("openrouter", "OPENROUTER_API_KEY", "sk-or-v1-{hex:64}"),
    _is("openshift", "OC_TOKEN", "sha256~{base64url:43}"),
    _is("pagerduty", "PAGERDUTY_API_KEY pd_token", "u+{base64url:18}", anywhere=False),
    _is("perplexity", "PERPLEXITY_API_KEY", "pplx-{alnum:48}"),
    _is("pinecone", "PINECONE_API_KEY", "pcsk_{alnum:6}_{alnum:63}"),
    _is(
        "planetscale", "PLANETSCALE_TOKEN",
        "pscale_tkn_{base64url:43}", "pscale_pw_{base64url:43}",
    ),
    _is("postman", "POSTMAN_API_KEY", "PMAK-{hex:24}-{hex:34}"),
    _is("pulumi", "PULUMI_ACCESS_TOKEN", "pul-{hex:40}"),
    _is("pypi", "TWINE_PASSWORD PYPI_TOKEN", "pypi-AgEIcHlwaS5vcmcC{base64url:150-180}"),
    _is("replicate", "REPLICATE_API_TOKEN", "r8_{alnum:37}"),
    _is("rubygems", "GEM_HOST_API_KEY", "rubygems_{hex:48}"),
    _is("sendgrid", "SENDGRID_API_KEY", "SG.{base64url:22}.{base64url:43}"),
    _is("sentry", "SENTRY_AUTH_TOKEN", "sntryu_{hex:64}", "sntrys_eyJ{base64:130}_{base64:43}"),
    _is("shippo", "SHIPPO_TOKEN", "shippo_live_{hex:40}"),
    _is(
        "shopify", "SHOPIFY_TOKEN X-Shopify-Access-Token",
        "shpat_{hex:32}", "shpca_{hex:32}", "shppa_{hex:32}", "shpss_{hex:32}",
    ),
    _is(
        "slack",
        "SLACK_BOT_TOKEN slack_token",
        "xoxb-{digit:12}-{digit:13}-{alnum:24}",
        "xoxp-{digit:12}-{digit:12}-{digit:13}-{hex:32}",
        "xapp-1-A{uppernum:10}-{digit:13}-{hex:64}",
        "xoxe.xoxp-1-{base64url:160}",
    ),
    _is(
        "slack-webhook",
        "SLACK_WEBHOOK_URL",
        "https://hooks.slack.com/services/«T{uppernum:10}/B{uppernum:10}/{alnum:24}»",
    ),
    _is("sonarqube", "SONAR_TOKEN", "sqp_{hex:40}", "squ_{hex:40}"),
    _is("square", "SQUARE_ACCESS_TOKEN", "sq0atp-{base64url:22}", "sq0csp-{base64url:43}"),
    _is(
        "stripe",
        "STRIPE_SECRET_KEY STRIPE_KEY stripe_api_key",
        "sk_live_{alnum:24}",
        "sk_test_{alnum:99}",
        "rk_live_{alnum:99}",
        "whsec_{alnum:32}",
    ),
    _is("supabase", "SUPABASE_ACCESS_TOKEN", "sbp_{hex:40}"),
    _is("tailscale", "TS_AUTHKEY", "tskey-auth-{alnum:12}CNTRL-{alnum:32}"),
    _is("telegram", "TELEGRAM_BOT_TOKEN", "{digit:10}:AA{base64url:33}"),
    _is("terraform", "TFE_TOKEN", "{alnum:14}.atlasv1.{base64url:67}"),
    _is("twilio", "TWILIO_API_KEY", "SK{hex:32}"),
    _is("twilio-auth", "TWILIO_AUTH_TOKEN auth_token", "{hex:32}", anywhere=False),
    _is("twitter", "TWITTER_BEARER_TOKEN", "AAAAAAAAAAAAAAAAAAAAA{alnum:80}"),
    _is(
        "vault", "VAULT_TOKEN",
        "hvs.{base64url:92}", "hvb.{base64url:140}", "hvs.CAES{base64url:86}",
    ),
    _is("wandb", "WANDB_API_KEY", "{hex:40}", anywhere=False),
    _is("xai", "XAI_API_KEY", "xai-{alnum:80}"),
)  # fmt: skip

KEY_BODY = "\n".join(["{base64:64}"] * 6) + "\n{base64:38}=="
KINDS = ("RSA ", "EC ", "DSA ", "OPENSSH ", "ENCRYPTED ", "")


def _key(kind: str) -> str:
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{KEY_BODY}\n-----END {kind}PRIVATE KEY-----"


PRIVATE_KEYS = (
    *(f"«{_key(k)}»" for k in KINDS),
    "«-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{HEX:32}\n\n"
    f"{KEY_BODY}\n-----END RSA PRIVATE KEY-----»",
    "«-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: GnuPG v2\n\n"
    f"{KEY_BODY}\n={{base64:4}}\n-----END PGP PRIVATE KEY BLOCK-----»",
    *(
        'key = "«' + _key(k).replace("\n", "\\n") + '»"'
        for k in KINDS[-2:]
    ),
    *(
        "KEY: «" + _key(k).replace("\n", " ") + "»"
        for k in ("RSA ", "")
    ),
    "«-----BEGIN PRIVATE KEY-----{base64:860}==-----END PRIVATE KEY-----»",
    f"«-----BEGIN RSA PRIVATE KEY-----\n{KEY_BODY}»\n\nThe rest of the file was lost.",
    "key: |\n    «-----BEGIN EC PRIVATE KEY-----\n    {base64:64}\n    {base64:64}\n"
    "    {base64:34}==\n"
    "    -----END EC PRIVATE KEY-----»\nother: 1",
)  # fmt: skip

_HOST = "{lower:6}.unrote.org"
PASSWORDS_IN_URLS = (
    "https://{lower:6}:«{password:10-20}»@" + _HOST + "/path",
    "postgres://{lower:5}:«{alnum:12-24}»@" + _HOST + ":5432/app",
    "redis://:«{alnum:12-32}»@" + _HOST + ":6379/0",
    "mongodb+srv://{lower:5}:«{alnum:16}»@" + _HOST + "/?retryWrites=true",
    "amqp://{lower:5}:«{base64url:20}»@" + _HOST + "//",
    "Server=tcp:" + _HOST + ",1433;User ID={lower:4};Password=«{alnum:14}»;Encrypt=True;",
    "jdbc:mysql://" + _HOST + ":3306/app?user={lower:5}&password=«{alnum:16}»",
    "host=" + _HOST + " user={lower:5} password=«{alnum:14}» dbname=app",
)

PASSWORDS = (
    "DB_PASSWORD=«{alnum:10-20}»\n",
    "POSTGRES_PASSWORD=«{password:12-24}»\nPORT=5432\n",
    'password = "«{password:12-20}»"\n',
    "    'PASSWORD': '«{alnum:12-20}»',\n",
    '"db_password": "«{alnum:12-20}»",\n',
    "  password: «{alnum:12-20}»\n",
    'admin_pwd: "«{alnum:12-18}»"\n',
    "SECRET_KEY = '«{password:50}»'\n",
    "JWT_SECRET=«{hex:64}»\n",
    "ENCRYPTION_KEY=«{base64:43}=»\n",
    "client_secret: «{base64url:32}»\n",
    'const apiKey = "«{alnum:32}»";\n',
    "spring.datasource.password=«{alnum:14}»\n",
    "mysql -u root --password=«{alnum:14}» app\n",
    "curl -u {lower:5}:«{alnum:16}» https://api.unrote.org/v1\n",
    "Authorization: Bearer «{base64url:40}»\n",
    "Authorization: Basic «{base64:38}==»\n",
    "X-Api-Key: «{alnum:36}»\n",
    "<password>«{alnum:14}»</password>\n",
    'os.environ["API_TOKEN"] = "«{base64url:40}»"\n',
    "machine api.unrote.org login {lower:5} password «{alnum:16}»\n",
)
