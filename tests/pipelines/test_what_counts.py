"""What distinguishes two texts, through the command: which go as near copies, and verify agrees."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import unrote
from tests.command import unrote as command
from tests.corpora import write_jsonl
from tests.dedup import reference
from tests.dedup.test_shingles import TEXTS
from unrote.pipelines.verify.tokens import tokens_of

NEAR = {
    "chinese, three words": (
        "上周我和妹妹坐火车去看望住在乡下的外婆，她做了一桌非常好吃的菜，还给我们讲了很多小时候的故事。"
        "第二天早上我们帮她打扫院子，喂了鸡和鸭，中午在河边钓鱼，一共钓到了四条。"
        "临走的时候她装了满满一袋花生，让我们带回城里送给邻居，我们都舍不得离开那个安静的村子。",
        "上周我和妹妹坐火车去看望住在乡下的外婆，她做了一桌特别好吃的菜，还给我们讲了许多小时候的故事。"
        "第二天早上我们帮她打扫院子，喂了鸡和鸭，中午在河边钓鱼，一共钓到了五条。"
        "临走的时候她装了满满一袋花生，让我们带回城里送给邻居，我们都舍不得离开那个安静的村子。",
    ),
    "chinese": (
        "图书馆每天早上九点开门，晚上八点关门，周末的开放时间要短一些。读者可以用身份证办理借书证，"
        "每次最多借五本书，借期是三十天，到期以前可以在网上续借一次。阅览室里不能吃东西，也请不要大声说话。",
        "图书馆每天早上九点开门，晚上八点关门，周末的开放时间要短一些。读者可以用身份证办理借书证，"
        "每次最多借六本书，借期是三十天，到期以前可以在网上续借一次。阅览室里不能吃东西，也请不要大声说话。",
    ),
    "japanese": (
        "この駅から海岸までは歩いて十五分ほどかかります。途中に小さなパン屋があり、朝の七時から開いています。"
        "夏の間は観光客が多いので、バスを利用する方が便利です。",
        "この駅から海岸までは歩いて二十分ほどかかります。途中に小さなパン屋があり、朝の七時から開いています。"
        "夏の間は観光客が多いので、バスを利用する方が便利です。",
    ),
    "thai": (
        "ห้องสมุดเปิดทุกวันตั้งแต่เก้าโมงเช้าถึงสองทุ่มยกเว้นวันหยุดราชการ ผู้อ่านยืมหนังสือได้ครั้งละห้าเล่มเป็นเวลาสามสิบวัน",
        "ห้องสมุดเปิดทุกวันตั้งแต่เก้าโมงเช้าถึงสองทุ่มยกเว้นวันหยุดราชการ ผู้อ่านยืมหนังสือได้ครั้งละหกเล่มเป็นเวลาสามสิบวัน",
    ),
    "lao": (
        "ຫໍສະໝຸດເປີດທຸກມື້ຕັ້ງແຕ່ເກົ້າໂມງເຊົ້າຫາສອງທຸ່ມ ຜູ້ອ່ານສາມາດຢືມປຶ້ມໄດ້ເທື່ອລະຫ້າຫົວເປັນເວລາສາມສິບມື້",
        "ຫໍສະໝຸດເປີດທຸກມື້ຕັ້ງແຕ່ເກົ້າໂມງເຊົ້າຫາສອງທຸ່ມ ຜູ້ອ່ານສາມາດຢືມປຶ້ມໄດ້ເທື່ອລະຫົກຫົວເປັນເວລາສາມສິບມື້",
    ),
    "khmer": (
        "បណ្ណាល័យបើករាល់ថ្ងៃចាប់ពីម៉ោងប្រាំបួនព្រឹករហូតដល់ម៉ោងប្រាំបីយប់ អ្នកអានអាចខ្ចីសៀវភៅបានប្រាំក្បាលក្នុងមួយលើក",
        "បណ្ណាល័យបើករាល់ថ្ងៃចាប់ពីម៉ោងប្រាំបួនព្រឹករហូតដល់ម៉ោងប្រាំបីយប់ អ្នកអានអាចខ្ចីសៀវភៅបានបួនក្បាលក្នុងមួយលើក",
    ),
    "burmese": (
        "စာကြည့်တိုက်ကို နေ့စဉ် မနက်ကိုးနာရီမှ ညရှစ်နာရီအထိ ဖွင့်သည်။ စာဖတ်သူများသည် တစ်ကြိမ်လျှင် စာအုပ်ငါးအုပ် ငှားနိုင်သည်။",
        "စာကြည့်တိုက်ကို နေ့စဉ် နံနက်ကိုးနာရီမှ ညရှစ်နာရီအထိ ဖွင့်သည်။ စာဖတ်သူများသည် တစ်ကြိမ်လျှင် စာအုပ်ငါးအုပ် ငှားနိုင်သည်။",
    ),
    "mixed": (
        "请用 Python 3 和 NumPy 安装这个软件包，然后运行 make test。"
        "如果 GPU 的内存不够，请把 batch size 改小一点再试一次，"
        "or ask on the mailing list, where somebody answers within a day or two。",
        "请用 Python 3 和 NumPy 安装这个软件包，然后运行 make test。"
        "如果 GPU 的内存不够，请把 batch size 改小一些再试一次，"
        "or ask on the mailing list, where somebody answers within a day or two。",
    ),
}


def removed(folder: Path, texts: dict[str, str]) -> dict[str, tuple[str, str]]:
    """Names of the removed documents, with the reason and the twin's name."""
    write_jsonl(folder / "in" / "a.jsonl", [{"id": i, "text": t} for i, t in texts.items()])
    done = command("dedup", folder / "in", "-o", folder / "out", "-q")
    assert done.status == 0, done.err
    assert command("verify", folder / "out").status == 0
    tables = unrote.open_run(folder / "out")
    names = {row["doc"]: row["id"] for row in tables.table("documents").to_pylist()}
    rows = tables.table("duplicates").to_pylist()
    return {names[row["doc"]]: (row["reason"], names[row["twin"]]) for row in rows}


def test_near_copies_in_scripts_without_spaces_are_found(tmp_path):
    texts = {f"{n}-{i}": text for n, pair in NEAR.items() for i, text in enumerate(pair)}
    assert removed(tmp_path, texts) == {f"{n}-1": ("near", f"{n}-0") for n in NEAR}


STAY = {
    "sum": ["How much is 12 + 4?", "How much is 12 - 4?", "How much is 12 * 4?"],
    "language": ["F", "F#", "F++"],
    "sign": ["It was -8 outside", "It was 8 outside"],
    "price": ["It costs 2.75", "It costs 2:75", "It costs $2.75", "It costs €2.75"],
    "mood": ["We will see you there :)", "We will see you there :("],
    "product": ["The area is width * height", "The area is width / height", "The area is width"],
    "code": [
        f"while (low {mark} high) {{ low = next(low); }} // the list is in order, one pass will do"
        for mark in ("<", ">", "<=", ">=", "!=", "==")
    ],
}
SAME = ["Well, she said, “no”.", 'WELL -- she said:  "No"!', "* Well\n* she said\n* no"]


def test_what_differs_in_operators_signs_and_symbols_stays(tmp_path):
    texts = {f"{n}-{i}": text for n, group in STAY.items() for i, text in enumerate(group)}
    texts |= {f"words-{i}": text for i, text in enumerate(SAME)}
    gone = removed(tmp_path, texts)
    assert gone == {"words-1": ("near", "words-0"), "words-2": ("near", "words-0")}


@given(TEXTS, st.sampled_from(["word", "character"]))
def test_verify_has_the_same_tokens(texts, unit):
    for text in texts:
        assert list(tokens_of(text, unit)) == reference.tokens(text, unit)
