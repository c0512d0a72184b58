"""Texts that look as if they held a secret, and hold none: templates, as those of providers."""

import random
import string

_B64 = "{base64:76}\n"

LOOKALIKES: dict[str, tuple[str, ...]] = {
    "hashes": (
        "commit {hex:40}\nMerge: {hex:7} {hex:7}\n",
        "{hex:64}  unrote-0.2.0.tar.gz\n",
        "MD5 (file.iso) = {hex:32}\n",
        "md5: {hex:32}\nsha512: {hex:128}\n",
        "image: registry.unrote.org/app@sha256:{hex:64}\n",
        "ETag: \"{hex:32}\"\n",
        'password_hash = "{hex:64}"\n',
        "$2b$12${alnum:53}",
        "fingerprint: {HEX:40}\nkeyid: {HEX:16}\n",
        "token_hash={hex:64}\n",
    ),
    "uuids": (
        "id: {hex:8}-{hex:4}-4{hex:3}-a{hex:3}-{hex:12}\n",
        'request_id="{hex:8}-{hex:4}-4{hex:3}-8{hex:3}-{hex:12}"\n',
        '{"uuid": "{hex:8}-{hex:4}-4{hex:3}-9{hex:3}-{hex:12}", "secret_id": 4}\n',
        "trace={hex:32} span={hex:16}\n",
    ),
    "lock files": (
        '"integrity": "sha512-{base64:86}==",\n',
        'checksum = "{hex:64}"\n',
        '    {file = "a-1.0-py3-none-any.whl", hash = "sha256:{hex:64}"},\n',
        "github.com/a/b v1.2.3 h1:{base64:43}=\ngithub.com/a/b v1.2.3/go.mod h1:{base64:43}=\n",
        "--hash=sha256:{hex:64} \\\n",
        'resolved "https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#{hex:40}"\n  '
        'integrity sha1-{base64:27}=\n',
        '"token-types@npm:^4.1.1":\n  version: 4.2.1\n  checksum: 10c0/{hex:128}\n',
    ),
    "base64": (
        "data:image/png;base64,iVBORw0KGgo{base64:900}==",
        '<img src="data:image/jpeg;base64,/9j/4AAQ{base64:700}=">',
        "-----BEGIN CERTIFICATE-----\n" + _B64 * 8 + "-----END CERTIFICATE-----\n",
        "-----BEGIN PUBLIC KEY-----\n" + _B64 * 3 + "-----END PUBLIC KEY-----\n",
        "-----BEGIN PGP SIGNATURE-----\n\n" + _B64 * 3 + "={base64:4}\n"
        "-----END PGP SIGNATURE-----\n",
        "ssh-rsa AAAAB3NzaC1yc2E{base64:350} jane@laptop\n",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5{base64:40} jane@laptop\n",
        "@font-face{src:url(data:font/woff2;base64,d09GMgABAAAA{base64:1500}=) format('woff2')}",
        "//# sourceMappingURL=data:application/json;base64,eyJ2ZXJzaW9uIjozLCJz{base64:600}\n",
        "Content-Transfer-Encoding: base64\n\n" + _B64 * 10,
    ),
    "minified": (
        "!function(e,t){var n=e.token||t.apiKey,r=t.secret;"
        "e.password=n?r:t.pass}(this,{token:o(7)});",
        "a.exports={key:function(e){return e.keyCode===13&&e.target.value},token:s.TOKEN_TYPE_ID}",
        'l.p="/static/",l.u=e=>"js/"+e+"."+{12:"{hex:20}",40:"{hex:20}"}[e]+".chunk.js"',
        ".css-{lowernum:7}{color:#{hex:6};background:url(/a.{hex:20}.svg)}",
        'o.createElement("input",{type:"password",name:"password",placeholder:"Password",key:"pw-1"})',
        "var sk={a:!0},pk=sk.a;for(var i=0;i<sk.length;i++)task-runner-{lower:20}.push(sk-i)",
    ),
    "documentation": (
        "export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7" + "EXAMPLE\n",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY" + "EXAMPLEKEY\n",
        "OPENAI_API_KEY=sk-" + "x" * 48 + "\n",
        "export OPENAI_API_KEY=sk-...\n",
        'client = OpenAI(api_key="your-api-key-here")\n',
        "GITHUB_TOKEN=ghp_" + "x" * 36 + "\n",
        "GITHUB_TOKEN=<YOUR_GITHUB_TOKEN>\n",
        "HF_TOKEN=hf_" + "X" * 34 + "\n",
        "SLACK_TOKEN=xoxb-your-token-here\n",
        "STRIPE_KEY=sk_test_" + "*" * 24 + "\n",
        "password=changeme\n",
        "DB_PASSWORD=<your password>\n",
        'password: "your_password_here"\n',
        "MYSQL_PASSWORD=password\nMYSQL_ROOT_PASSWORD=secret\n",
        "Authorization: Bearer <token>\n",
        "Authorization: Bearer YOUR_ACCESS_TOKEN\n",
        "curl -H 'Authorization: Bearer $TOKEN' https://api.unrote.org\n",
        "curl -u username:password https://api.unrote.org\n",
        "SENDGRID_API_KEY=SG.xxxxxxxxxxxxxxxxxxxxxx." + "x" * 43 + "\n",
        "postgres://user:${DB_PASSWORD}@db:5432/app\n",
        "https://<username>:<password>@git.unrote.org/app.git\n",
        "redis://:{{ redis_password }}@cache:6379/0\n",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        "Keys begin with -----BEGIN RSA PRIVATE KEY----- in their first line.\n",
        "API_KEY=0123456789abcdef0123456789abcdef\n",
        "TOKEN=abcdefghijklmnopqrstuvwxyz123456\n",
        "DISCORD_TOKEN=your-bot-token\nAPP_SECRET=replace-with-a-real-secret-2\n",
        "npm config set //registry.npmjs.org/:_authToken=${NPM_TOKEN}\n",
    ),
    "code": (
        "password = get_password(user)\n",
        "token = self._tokens[index]\n",
        'secret = os.environ["APP_SECRET"]\n',
        'API_KEY = os.getenv("API_KEY")\n',
        "const token = req.headers['x-access-token'];\n",
        "password: str = Field(min_length=8)\n",
        "def login(username, password='', token=None):\n",
        'parser.add_argument("--password", help="The password of the user")\n',
        'raise ValueError("password must have 12 characters")\n',
        "if token == TokenType.IDENTIFIER2:\n    token = next_token()\n",
        '"password": "Passwort eingeben", "token": "Jeton",\n',
        "password: process.env.DB_PASSWORD,\n",
        "secretKeyRef:\n  name: app-secrets-v2\n  key: database-password\n",
        "passwordFile: /run/secrets/db-password-1\n",
        'SECRET_NAME = "projects/12345/secrets/app-secret/versions/3"\n',
        'token_url = "https://auth.unrote.org/oauth2/v1/token"\n',
        "public_key = 'AAAAB3NzaC1yc2E{base64:60}'\n",
        "password_field = driver.find_element(By.ID, 'password-input-3')\n",
        "tokenizer = AutoTokenizer.from_pretrained('bert-base-uncased')\n",
        "eos_token: <|endoftext|>\npad_token_id: 50256\n",
        'max_tokens: 4096\nnum_tokens = 128000\n"total_tokens": 1532,\n',
        "CSRF_TOKEN_HEADER = 'X-CSRF-Token'\n",
        'credentials: "include",\n',
        "auth: { type: 'oauth2-v2', token: user.accessToken2 },\n",
        "String password = request.getParameter(\"password1\");\n",
        "private static final String TOKEN_KEY = \"com.unrote.app.TOKEN_V2\";\n",
        "primary_key = 'customer_order_2024_id'\n",
        "api_key: ${{ secrets.API_KEY_V2 }}\n",
        "password = hashlib.sha256(raw.encode()).hexdigest()[:32]\n",
        "cache_key = f'user-{user_id}-profile-v2'\n",
        "secret_arn = 'arn:aws:secretsmanager:eu-west-1:123456789012:secret:app-AbCdEf'\n",
        "keyboard_shortcut_token = 'ctrl+shift+k2'\n",
        '"api_key": {"type": "string", "description": "Key of the API, version 2"}\n',
        "token := lexer.Next(); token.Kind = TOKEN_STRING_2\n",
        "PASSWORD_RESET_TIMEOUT = 259200\n"
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.PBKDF2']\n",
        "sk-learn and scikit-learn; risk-adjusted-return-on-capital-2024-final-report\n",
        "hf_hub_download(repo_id='a/b'); gsk_counter_increment_by_two(value)\n",
        "npm_config_registry_with_a_very_long_name_that_goes_on=1 npm_package_version\n",
        "AKIAPROJECTNAME and SKELETON; the figure AC1234 of the ACCESSIBILITY report\n",
        "key-value-store-for-distributed-systems; key-{lower:32}\n",
        "xoxo-hugs-and-kisses-2024; xoxb is the prefix of a bot's token\n",
        "see user:pass@ in RFC 3986 or mailto:jane@example.com and ssh://git@github.com:22/a/b\n",
        "time 12:34:56@host and 1234567890:ABCDEF in a log\n",
    ),
    "prose": (
        "The password is kept in a safe. token = none; see the key BEGINNING here.\n",
        "Passwords: a short history. Your secret: patience, and a good editor.\n",
        "She said the secret: never trust a token that you did not mint yourself.\n",
        "Token: a thing that stands for another (Oxford, 1989).\n",
        "Password: at least twelve characters, with 1 digit.\n",
        "Basic authorization: Basic understanding of the protocol is enough. Bearer bonds pay.\n",
    ),
}  # fmt: skip

_WORDS = "the run of a corpus reads each line once and writes what is kept beside its twin in order"


def filler(seed: random.Random) -> str:
    """A line of words, as stands around all of these."""
    return " ".join(seed.choices(_WORDS.split(), k=seed.randint(4, 12)))


def lines(seed: random.Random) -> str:
    """A page of base64, now and then with a prefix that tokens have."""
    letters = string.ascii_letters + string.digits + "+/"
    return "\n".join("".join(seed.choices(letters, k=76)) for _ in range(40))
