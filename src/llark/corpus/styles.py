"""What the groove library of MMA is heard as: genre words and meter of each of its files."""

from __future__ import annotations

from collections.abc import Mapping

_FILES_OF = {
    "rock": """
        stdlib: 50srock 60srock 8beat basicrock bubblerock folkrock rock-128 rockballad rockwaltz softrock
        twist strut
        casio: 60srock 8beat1 8beat2 8beat3 digitalrock poprock1 poprock2 rock1 rock2 shufflerock slowrock
        twist
        kara: K50s_rock fasttwist twi happyshuffle
        pflib: 8beat1 8beat2 highfive rock1 slowrock
        yamaha: w-rock
        zoom: beat8 hrk punk rock rock34 shuffle
    """,
    "pop": """
        stdlib: arpeggio44 arpeggio68 arpeggiowaltz ballad ballad128 ballad68 guitarballad pianoballad
        popballad stringballad popspiritual 8beat bubblerock softrock rockballad lullaby
        casio: 16beat1 16beat2 16beat3 16beatballad1 16beatballad2 16beatballad3 60spop 68ballad 80spop
        8beatballad1 8beatballad2 8beatballad3 8beatpop1 8beatpop2 8beatpop3 dancepop1 dancepop2 dancepop3
        electricpop oldieballad pop popballad poppolka poprock1 poprock2 popshuffle1 popshuffle2 popwaltz
        soulpop worldpop slow16beat serenade
        kara: 2beatp kwestballad
        pflib: 16beat1 16beat2
        zoom: bald bald34 beat16 pop
    """,
    "jazz": """
        stdlib: bebop bigband broadway broadwaywaltz charleston descendingjazz dixie easyswing evansish
        fastjazzwaltz fastswing foxtrot folkyjazz gypsyjazz jazzcombo jazzguitar jazzrock jazzwaltz
        jazzrhumba jive lfusion mellowjazz modernjazz modernjazzwaltz nitejazz quickstep ragtime showtune
        slowbroadway slowjazz softshoe swing westernswing 68swing
        casio: fastbigband foxtrot jazzcombo jazzwaltz middlebigband modernjazz quickstep slowbigband
        slowswing swing fusion polkafox
        yamaha: jazzGrtrio jazzbasie jazzbossa jazzbouncy jazzswing jazztrio jazzwaltz jazzcountry
        zoom: jazz jazz04 fus16 fusion
    """,
    "blues": """
        stdlib: blues blues128 blues68 boggiewoggie countryblues fastblues slowblues bluefolk
        shuffleboggie
        casio: blues shuffleboogie
        zoom: blues blues34 blues68
    """,
    "country": """
        stdlib: bluegrass countryblues countryswing countrywaltz hillcountry slowcountry westernswing
        yamaha: jazzcountry western
        kara: kwestballad
        zoom: cntry country
    """,
    "folk": """
        stdlib: bluefolk folk folkballad folkrock folkyjazz polka zydeco guitarballad hymn spiritual
        slowspiritual popspiritual hillcountry
        casio: polka poppolka polkafox
    """,
    "latin": """
        stdlib: beguine bolero bossanova calypso chacha cubanguitar desert jazzrhumba latinwaltz lfusion
        lighttango mambo merengue rhumba salsa samba slowbolero son tango
        casio: latinfusion latinhouse
        kara: kbossa
        yamaha: jazzbossa mambo quando-g.s280 salsa1 salsa2
        zoom: afro bossa latin samba
    """,
    "funk": """
        stdlib: bvfunk
        casio: funk1 fusion 16shuffle1 16shuffle2
        kara: Kfunk1
        zoom: funk fus16
    """,
    "soul": """
        stdlib: dsoul rb rb-ballad
        casio: 60ssoul discosoul mellowrb modernrb r+b soul soulpop
        kara: 8beatmotown
        zoom: rnb
    """,
    "reggae": """
        stdlib: ska
        zoom: reggae ska
    """,
    "dance": """
        stdlib: boneym trance
        casio: 8beatdance dance1 dance2 dancepop1 dancepop2 dancepop3 hip-hop house latinhouse rave techno
        trance1 trance2 triphop discosoul
        alexis: hiphop teamtechno
        zoom: dance dnb hiphop house techno trip
    """,
    "metal": """
        casio: heavymetal
        pflib: metal1 metal2
        zoom: mtl thr
    """,
    "ambient": """
        casio: ambient1 ambient2 ambient3
        zoom: ambient
    """,
    "march": """
        stdlib: 68march bwmarch dixiemarch march
        casio: germanmarch march1
    """,
    "waltz": """
        stdlib: arpeggiowaltz broadwaywaltz countrywaltz fastjazzwaltz fastwaltz frenchwaltz jazzwaltz
        latinwaltz modernjazzwaltz rockwaltz vienesewaltz waltz
        casio: jazzwaltz popwaltz
        yamaha: jazzwaltz
    """,
}

TWO_FOUR = frozenset(
    {"stdlib/polka", "stdlib/march", "stdlib/bwmarch", "stdlib/dixiemarch"}
    | {"casio/germanmarch", "casio/march1", "casio/polka", "casio/poppolka"}
)
"""Files that count four to the bar for music that is written, and tapped, in 2/4: two of their beats are
one."""

SLOW_SIX_EIGHT = frozenset({"stdlib/ballad68"})
"""6/8 counted four to the bar: two of their beats are a dotted quarter."""

EXCLUDED = frozenset({"stdlib/afro-cuban", "stdlib/jazz-54", "stdlib/68swing"})
"""A 6/8 over 3/4 that is honestly both, five to the bar, and a swing that is written in 6/8 but counted in
four."""


def _genres() -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for genre, text in _FILES_OF.items():
        folder = ""
        for name in text.split():
            if name.endswith(":"):
                folder = name[:-1]
            else:
                found = words.get(f"{folder}/{name}", ())
                words[f"{folder}/{name}"] = found if genre in found else (*found, genre)
    return words


GENRES_OF: Mapping[str, tuple[str, ...]] = _genres()
"""`folder/file` of the library (without `.mma`) → genre words. Files that are not named here are not used."""
