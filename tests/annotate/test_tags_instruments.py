from types import SimpleNamespace

import numpy as np
import pytest

from llark.annotate import tags
from llark.annotate.tags import find_instruments
from llark.networks import tag
from llark.records import INSTRUMENTS


def features(silent: bool = False, **loud: float):
    """A hearing whose taggers say 0.02 to everything but the tags named as `MTT_x` or `MSD_x`."""
    mtt, msd = np.full((4, 50), 0.02), np.full((4, 50), 0.02)
    for name, value in loud.items():
        net, _, word = name.partition("_")
        names, patches = (tag.MTT, mtt) if net == "MTT" else (tag.MSD, msd)
        patches[:, names.index(word.replace("_", " "))] = value
    heard = tag.TagOutput(np.zeros((748, 753)), mtt, msd, (0, 187, 374, 561), 187)
    return SimpleNamespace(tag=heard, is_silent=silent)


def test_every_rule_names_words_and_tags_that_exist():
    known = {tags.MTT + name for name in tag.MTT} | {tags.MSD + name for name in tag.MSD}
    for rules in (tags.INSTRUMENT_RULES, tags.GUITARS):
        assert set(rules) <= set(INSTRUMENTS)
        assert {name for named in rules.values() for name in named} <= known
    assert {tags.MTT + name for name in tags.VOICE_TAGS + tags.NO_VOICE_TAGS} <= known


def test_a_strong_tag_is_an_instrument_and_a_weak_one_is_not():
    found = find_instruments(features(MTT_piano=0.6, MTT_flute=0.2))
    assert found.labels == ("piano",)
    assert found.tags[0].confidence == pytest.approx(0.794, abs=2e-3)
    assert found.confidence == found.tags[0].confidence
    assert found.source == "musicnn"


def test_nothing_is_claimed_when_no_tag_stands_out():
    found = find_instruments(features(MTT_no_vocals=0.2))
    assert found.tags == ()
    assert found.confidence == 0.0


def test_silence_has_no_instruments_whatever_the_taggers_say():
    assert find_instruments(features(silent=True, MTT_piano=0.9), {"drums": 0.9}).tags == ()


def test_instruments_come_most_certain_first():
    found = find_instruments(features(MTT_cello=0.4, MTT_violin=0.8, MTT_strings=0.5))
    assert found.labels == ("violin", "strings", "cello")


@pytest.mark.parametrize(
    ("company", "kind"),
    [
        ({"MSD_acoustic": 0.5, "MSD_folk": 0.4}, "acoustic guitar"),
        ({"MTT_rock": 0.3, "MSD_rock": 0.5, "MSD_classic_rock": 0.4}, "electric guitar"),
        ({"MTT_metal": 0.2, "MSD_metal": 0.3, "MSD_hard_rock": 0.3}, "distorted guitar"),
    ],
)
def test_the_kind_of_guitar_follows_its_company(company, kind):
    found = find_instruments(features(MTT_guitar=0.8, **company))
    assert [label for label in found.labels if "guitar" in label] == [kind]


def test_metal_has_a_distorted_guitar_and_drums_without_either_tag():
    assert set(find_instruments(features(MSD_metal=0.8)).labels) == {"distorted guitar", "drums"}


def test_a_voice_is_the_sum_of_what_people_call_it():
    sung = dict.fromkeys(("MTT_vocal", "MTT_vocals", "MTT_singing", "MTT_male"), 0.15)
    assert find_instruments(features(**sung)).labels == ("voice",)
    assert find_instruments(features(**sung, MTT_no_vocals=0.4)).labels == ()


def test_the_sounds_net_and_the_tags_are_weighed_where_both_have_a_word():
    heard = features(MTT_piano=0.6, MTT_flute=0.6)
    found = find_instruments(heard, {"piano": 0.1, "flute": 1.0, "saxophone": 0.9, "clarinet": 0.3})
    assert found.labels == ("flute", "saxophone")
    assert found.tags[0].confidence == pytest.approx(0.6 + 0.4 * 0.794, abs=2e-3)
    assert found.source == "sounds+musicnn"


def test_the_sounds_net_is_not_asked_about_voices():
    sung = dict.fromkeys(("MTT_vocal", "MTT_vocals", "MTT_singing", "MTT_male"), 0.15)
    assert find_instruments(features(**sung), {"voice": 0.0}).labels == ("voice",)
    assert find_instruments(features(), {"voice": 1.0}).labels == ()


def test_an_instrument_of_half_the_clip_is_heard():
    heard = features()
    heard.tag.mtt[2:, tag.MTT.index("piano")] = 0.6
    assert find_instruments(heard).labels == ("piano",)


def test_confidence_is_even_at_the_named_probability():
    assert tags.confidence_at(0.3, 0.3) == pytest.approx(0.5)
    assert tags.confidence_at(0.0, 0.3) == 0.0
    assert tags.confidence_at(1.0, 0.3) == 1.0
