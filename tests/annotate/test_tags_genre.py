from types import SimpleNamespace

import numpy as np
import pytest

from llark.annotate import tags
from llark.annotate.tags import find_genre
from llark.networks import tag
from llark.records import GENRES


def features(silent: bool = False, **loud: float):
    """A hearing whose taggers say 0.02 to everything but the tags named as `MTT_x` or `MSD_x`."""
    mtt, msd = np.full((1, 50), 0.02), np.full((1, 50), 0.02)
    for name, value in loud.items():
        net, _, word = name.partition("_")
        names, patches = (tag.MTT, mtt) if net == "MTT" else (tag.MSD, msd)
        patches[:, names.index(word.replace("_", " "))] = value
    return SimpleNamespace(tag=tag.TagOutput(np.zeros((187, 753)), mtt, msd, (0,), 187), is_silent=silent)


def test_every_rule_names_words_and_tags_that_exist():
    known = {tags.MTT + name for name in tag.MTT} | {tags.MSD + name for name in tag.MSD}
    assert set(tags.GENRE_RULES) <= set(GENRES)
    assert {name for named in tags.GENRE_RULES.values() for name in named} <= known


def test_styles_come_most_certain_first_and_at_most_three():
    found = find_genre(features(MSD_metal=0.8, MSD_jazz=0.5, MSD_folk=0.45, MSD_soul=0.4))
    assert found.labels == ("metal", "jazz", "folk")
    assert found.source == "musicnn"


@pytest.mark.parametrize(
    ("tag_name", "word"),
    [("MTT_techno", "dance"), ("MTT_opera", "classical"), ("MSD_rnb", "soul"), ("MTT_new_age", "ambient")],
)
def test_neighbouring_tags_speak_for_our_word(tag_name, word):
    assert find_genre(features(**{tag_name: 0.6})).labels == (word,)


def test_no_style_is_claimed_when_no_tag_stands_out():
    assert find_genre(features(MSD_rock=0.25, MSD_pop=0.2)).tags == ()


def test_a_style_that_only_one_of_both_hears_is_not_given():
    tagged = features(MSD_metal=0.8, MSD_jazz=0.5)
    assert find_genre(tagged, {"folk": 0.95, "march": 0.9, "jazz": 0.02}).tags == ()


def test_a_style_that_both_hear_has_their_mean_confidence():
    alone = find_genre(features(MSD_metal=0.6)).tags[0].confidence
    found = find_genre(features(MSD_metal=0.6), {"metal": 0.5, "pop": 0.4})
    assert found.labels == ("metal",)
    assert found.tags[0].confidence == pytest.approx((alone + 0.5) / 2, abs=1e-3)
    assert found.source == "sounds+musicnn"


def test_silence_has_no_style():
    assert find_genre(features(silent=True, MSD_rock=0.9)).tags == ()
