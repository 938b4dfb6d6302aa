"""Strings over alphabets that make trouble, for tests of properties."""

import random

# Unicode's White_Space property, without the line feed and its like being special.
SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2003\u200a\u2028\u2029\u202f\u205f\u3000"

ALPHABETS = (
    "abc XYZ 019 ,.'-/<>_",
    SPACES,
    "äöüßÄÖÜÅéÉñçŒ",
    "ΑΒΣασςω",
    "ЖжЯяЁё",
    "\u0130\u0131IiŞş",
    "\u0301\u0307\u0308\u0323\u0327\u0345",  # combining marks
    "\ufb01\ufb03\u01c4\u2160\u00bd\u00b2\u2122\u212a\u212b\u1e9e\u017f",  # ligatures, signs
    "\uff11\uff19\uff21\uff5a\uff0c\uff0e\u3000",  # full-width 1 9 A z , .
    "\u1100\u1161\u11a8\uac00\u304b\u3099",  # Hangul and kana that compose
    "中文٣४\u200b\u200d🙂🔧\u2018\u2019",
)


def generated_strings(count=4000, seed=7):
    """Strings over one to three of the alphabets, up to 14 characters long."""
    chance = random.Random(seed)
    for _ in range(count):
        letters = "".join(chance.sample(ALPHABETS, chance.randint(1, 3)))
        yield "".join(chance.choices(letters, k=chance.randint(0, 14)))
