"""What is in the layouts of layouts.py: written by hand, from its rows. Frames are 0-based and inclusive.

Videos stand in natural order; an expression is (onset, apex, offset, emotion), its apex None where it is unknown.
"""

from __future__ import annotations

from types import MappingProxyType

SMIC = ("SMIC_HS", "SMIC_VIS", "SMIC_NIR")

_SMIC_EXPRESSIONS = {
    "s01/s1_ne_01": [(20, None, 44, "negative")],
    "s01/s1_ne_9": [(18, None, 42, "negative")],
    "s01/s1_ne_10": [(14, None, 38, "negative")],
    "s02/s2_po_01": [(20, None, 44, "positive")],  # its second expression does not count
    "s03/s3_ne_02": [(0, None, 24, "negative")],
    "s03/s3_sur_01": [(20, None, 44, "surprise")],  # FirstF is text
    "s11/s11_sur_02": [(20, None, 44, "surprise")],
    "s20/s20_po_01": [(20, None, 44, "positive")],
}
EXPRESSIONS = MappingProxyType(
    {
        "CASME_sq": {
            "s9/9_0101slowkettle": [(20, 32, 44, "others")],
            "s15/15_0101slowkettle": [(20, 32, 44, "negative")],
            "s15/15_0401rollingmarbles": [(14, 26, 26, "negative")],  # offset 0
            "s16/16_0101slowkettle": [(20, 32, 44, "others")],
            "s23/23_0401rollingmarbles": [(20, 32, 44, "positive"), (52, 56, 59, "positive")],
            "s104/104_0101slowkettle": [(20, 32, 44, "surprise")],
        },
        "SAMMLV": {
            "006/006_1": [(20, 32, 44, "others")],
            "007/007_1": [(20, 32, 44, "negative")],
            "007/007_2": [(14, 26, 38, "negative")],
            "013/013_1": [(20, 32, 44, "others")],
            "020/020_3": [(20, None, 44, "positive")],  # apex -1, after a row with onset 0
            "037/037_1": [(20, 32, 44, "surprise")],
        },
        "CASME2": {
            "sub01/EP02_01f": [(20, 32, 44, "others")],
            "sub01/EP9_03": [(18, 30, 42, "others")],
            "sub01/EP10_02": [(14, 26, 38, "happiness")],
            "sub02/EP02_01f": [(20, 32, 44, "disgust")],
            "sub09/EP01_11": [(20, 32, 44, "repression")],
            "sub09/EP07_04f": [(14, 26, 38, "surprise")],
            "sub10/EP02_04": [(20, 32, 44, "happiness")],
            "sub26/EP05_02": [(20, 32, 44, "surprise")],
        },
        **dict.fromkeys(SMIC, _SMIC_EXPRESSIONS),
    }
)

# As the authors' code takes them: the workbook's order, its number for an unknown apex (-1, less 1), in SMIC one frame
# less everywhere and without the expression that would begin before frame 0
_SMIC_UPSTREAM = {
    "s01/s1_ne_01": [(19, None, 43, "negative")],
    "s01/s1_ne_9": [(17, None, 41, "negative")],
    "s01/s1_ne_10": [(13, None, 37, "negative")],
    "s02/s2_po_01": [(19, None, 43, "positive")],
    "s03/s3_sur_01": [(19, None, 43, "surprise")],
    "s11/s11_sur_02": [(19, None, 43, "surprise")],
    "s20/s20_po_01": [(19, None, 43, "positive")],
}
UPSTREAM_EXPRESSIONS = MappingProxyType(
    {
        "CASME_sq": EXPRESSIONS["CASME_sq"]
        | {"s23/23_0401rollingmarbles": [(52, 56, 59, "positive"), (20, 32, 44, "positive")]},
        "SAMMLV": EXPRESSIONS["SAMMLV"] | {"020/020_3": [(20, -2, 44, "positive")]},
        "CASME2": EXPRESSIONS["CASME2"],
        **dict.fromkeys(SMIC, _SMIC_UPSTREAM),
    }
)

_SMIC_FRAMES = {
    "s01/s1_ne_01": 64,
    "s01/s1_ne_9": 62,
    "s01/s1_ne_10": 58,
    "s02/s2_po_01": 64,
    "s03/s3_ne_02": 44,
    "s03/s3_sur_01": 64,
    "s11/s11_sur_02": 64,
    "s20/s20_po_01": 64,
}
FRAMES = MappingProxyType(  # how many each video has
    {
        "CASME_sq": {
            "s9/9_0101slowkettle": 64,
            "s15/15_0101slowkettle": 64,
            "s15/15_0401rollingmarbles": 58,
            "s16/16_0101slowkettle": 64,
            "s23/23_0401rollingmarbles": 64,
            "s104/104_0101slowkettle": 42,
        },
        "SAMMLV": {
            "006/006_1": 64,
            "007/007_1": 64,
            "007/007_2": 58,
            "013/013_1": 64,
            "020/020_3": 64,
            "037/037_1": 42,
        },
        "CASME2": {
            "sub01/EP02_01f": 64,
            "sub01/EP9_03": 62,
            "sub01/EP10_02": 58,
            "sub02/EP02_01f": 64,
            "sub09/EP01_11": 64,
            "sub09/EP07_04f": 58,
            "sub10/EP02_04": 64,
            "sub26/EP05_02": 64,
        },
        **dict.fromkeys(SMIC, _SMIC_FRAMES),
    }
)

FPS = MappingProxyType({"CASME_sq": 30, "SAMMLV": 200, "CASME2": 200, "SMIC_HS": 100, "SMIC_VIS": 25, "SMIC_NIR": 25})
K = MappingProxyType({"CASME_sq": 3, "SAMMLV": 20, "CASME2": 20, "SMIC_HS": 10, "SMIC_VIS": 3, "SMIC_NIR": 3})
# int((N + 1) / 2), N the mean of offset - onset: in CASME_sq (24 + 24 + 12 + 24 + 24 + 7 + 24) / 7 = 19.9, else 24
K_PRIME = MappingProxyType({"CASME_sq": 10, **dict.fromkeys(("SAMMLV", "CASME2", *SMIC), 12)})
SHORT = ("CASME2", *SMIC)  # one prediction per video

# A video's crops below the data root, and the first one's name in the first video
CROPS = MappingProxyType(
    {
        "CASME_sq": ("CASME_sq/rawpic_crop/{subject}/{video}", "img001.jpg"),
        "SAMMLV": ("SAMMLV/SAMM_longvideos_crop/{video}", "0001.jpg"),
        "CASME2": ("CASME2/CASME2/CASME2-RAW_crop/{subject}/{video}", "img1.jpg"),
        "SMIC_HS": ("SMIC/SMIC_E_HS_crop/{subject}/{video}", "image559700.jpg"),
        "SMIC_VIS": ("SMIC/SMIC_E_VIS_crop/{subject}/{video}", "image02832.jpg"),
        "SMIC_NIR": ("SMIC/SMIC_E_NIR_crop/{subject}/{video}", "image02832.jpg"),
    }
)
