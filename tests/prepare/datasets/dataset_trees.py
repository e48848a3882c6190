"""Small trees in the layout of each data set's publisher, with invented rows.

Each has good rows in several splits, a row whose recording is not there, and, where a row can be, a bad one.
"""

from __future__ import annotations

import io
import json
import wave
from collections.abc import Callable
from pathlib import Path

import pretty_midi


def sound(path: Path) -> None:
    """An empty file: readers look for recordings, they do not open them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def wav(path: Path, seconds: float) -> None:
    """A silent recording of that length, at 1,000 samples a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 1000, 0, "NONE", ""))
        file.writeframes(b"\0\0" * round(seconds * 1000))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())


def midi(program: int, notes: list[tuple[float, float, int, int]], is_drum: bool = False) -> bytes:
    """A MIDI file of one part: onset and offset in seconds, pitch, velocity."""
    part = pretty_midi.Instrument(program, is_drum=is_drum)
    part.notes = [pretty_midi.Note(velocity, pitch, start, end) for start, end, pitch, velocity in notes]
    song = pretty_midi.PrettyMIDI()
    song.instruments.append(part)
    data = io.BytesIO()
    song.write(data)
    return data.getvalue()


def musiccaps(root: Path) -> None:
    rows = [
        "ytid,start_s,end_s,audioset_positive_labels,aspect_list,caption,author_id,is_balanced_subset,"
        "is_audioset_eval",
        '-0aBcDeFgH1,30,40,"/m/04rlf,/m/0155w","[\'blues\', ""singer\'s cry"", \'slow\']",'
        '"A ""raw"" blues, with naïve singing.",4,False,True',
        "cut_Video02,10,20,/m/04rlf,['ambient'],A calm pad.,0,True,False",
        "wholeVid003,5,15,/m/04rlf,['rock'],Loud guitars.,1,False,False",
        "notHere0004,0,10,/m/04rlf,['pop'],A song.,1,False,True",
        'badList0005,0,10,/m/04rlf,"[\'pop",A song.,1,False,True',
        "noFlag00006,0,10,/m/04rlf,['pop'],A song.,1,False,",
    ]
    write(root / "musiccaps-public.csv", "\n".join(rows) + "\n")
    sound(root / "audio/[-0aBcDeFgH1]-[30-40].wav")
    wav(root / "audio/cut_Video02.wav", 10)
    wav(root / "audio/wholeVid003.wav", 61)
    sound(root / "audio/badList0005-0-10.wav")


def yt8m_musictextclips(root: Path) -> None:
    head = "video_id,start,end,text\n"
    write(root / "train.csv", head + 'aaa,100,110,"Piano, alone."\nboth,50,60,First.\n,1,2,Nobody.\n')
    write(root / "test.csv", head + "bbb,20,30,Ein fröhlicher Walzer.\nboth,50,60,Again.\nccc,x,30,Bad.\n")
    wav(root / "audio/aaa.wav", 130)
    sound(root / "audio/both_50.0_60.0.wav")
    sound(root / "audio/bbb.wav")
    wav(root / "audio/ccc.wav", 1)


def musicnet(root: Path) -> None:
    head = "id,composer,composition,movement,ensemble,source,transcriber,catalog_name,seconds\n"
    rows = [
        "1727,Schubert,Piano Quintet in A major,2. Andante,Piano Quintet,European Archive,someone,OP114,447",
        "2106,Haydn,Quartet No 53 in D major,3. Menuetto: Allegretto,String Quartet,Museopen,,OP64NO5,226",
        '1733,Dvořák,"Sonata ""in A"", for all",2. Andantino,Solo Piano,Museopen,,D959,',
        "9999,Nobody,Lost,1.,Solo Piano,Museopen,,X,10",
        "1759,Schubert,Sonata,4. Allegro,Solo Piano,Museopen,,D958,655",
        "abc,Nobody,Lost,1.,Solo Piano,Museopen,,X,10",
    ]
    write(root / "musicnet_metadata.csv", head + "\n".join(rows) + "\n")
    labels = "start_time,end_time,instrument,note,start_beat,end_beat,note_value\n"
    notes = "88200,132300,41,69,1.0,0.5,Eighth\n44100,88200,1,60,0.0,1.0,Quarter\n"
    write(root / "train_labels/1727.csv", labels + notes)
    write(root / "test_labels/1759.csv", labels + "44100,x,1,60,0.0,1.0,Quarter\n")
    write(root / "musicnet_em/2106.mid", "")
    (root / "musicnet_em/2106.mid").write_bytes(midi(42, [(0.5, 1.5, 48, 90)]))
    for name in ("train_data/1727", "test_data/2106", "train_data/1733", "test_data/1759"):
        sound(root / f"{name}.wav")


FMA_GROUPS = {
    "album": (
        "comments date_created date_released engineer favorites id information listens producer "
        "tags title tracks type"
    ),
    "artist": (
        "active_year_begin active_year_end associated_labels bio comments date_created favorites "
        "id latitude location longitude members name related_projects tags website wikipedia_page"
    ),
    "set": (
        "split subset"
    ),
    "track": (
        "bit_rate comments composer date_created date_recorded duration favorites genre_top "
        "genres genres_all information interest language_code license listens lyricist number "
        "publisher tags title"
    ),
}  # fmt: skip
FMA_COLUMNS = [f"{group}.{name}" for group, names in FMA_GROUPS.items() for name in names.split()]


def fma_row(track_id: int | str, **values: str) -> str:
    """A row of tracks.csv; names have `_` for the dot after the group: `track_title`."""
    defaults = {name: "[]" for name in FMA_COLUMNS if name.endswith(("tags", "genres", "genres_all"))}
    given = {name.replace("_", ".", 1): value for name, value in values.items()}
    cells = [str(track_id), *({**defaults, **given}.get(name, "") for name in FMA_COLUMNS)]
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells)


def fma(root: Path) -> None:
    names = [name.split(".") for name in FMA_COLUMNS]
    assert len(names) == 52
    head = ["," + ",".join(group for group, _ in names), "," + ",".join(column for _, column in names)]
    small = {"set_subset": "small", "track_genres": "[25]", "track_genres_all": "[25, 12]"}
    rows = [
        fma_row(
            2,
            set_split="training",
            **small,
            track_title='Food, "fast"',
            artist_name="Björk & Co",
            artist_id="1",
            artist_latitude="40.05",
            album_title="Way",
            album_information="<p>Two&nbsp;lines<br>of text</p>",
            album_listens="-1",
            album_id="7",
            track_duration="168",
            track_genre_top="Rock",
            track_language_code="en",
            track_license="Attribution 3.0",
            track_tags="['loud', 'live']",
        ),
        fma_row(5, set_split="validation", **small),
        fma_row(10, set_split="test", **small),
        fma_row(140, set_split="test", **small),
        fma_row(141, set_split="test", **{**small, "track_genres": "[99]"}),
        fma_row(142, set_split="nowhere", **small),
        fma_row(143, set_split="training", set_subset="large"),
    ]
    lines = [*head, "track_id" + "," * len(FMA_COLUMNS), *rows]
    write(root / "fma_metadata/tracks.csv", "\n".join(lines) + "\n")
    genres = "genre_id,#tracks,parent,title,top_level\n12,9,0,Rock,12\n25,4,12,Punk,12\n"
    write(root / "fma_metadata/genres.csv", genres)
    for number in (2, 5, 10, 141):
        sound(root / f"fma_small/000/{number:06d}.mp3")


def mtg_jamendo(root: Path) -> None:
    head = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\r\n"
    rows = {
        "track_0000214": "artist_000014\talbum_000031\t14/214.mp3\t124.6\tgenre---punkrock"
        "\tinstrument---guitar"
        "\tmood/theme---party\tgenre---rock",
        "track_0000948": "artist_000087\talbum_000149\t48/948.mp3\t212.7\tmood/theme---background",
        "track_0000949": "artist_000088\talbum_000150\t49/949.mp3\t10.0\tgenre---pop",
        "track_0000950": "artist_000089\talbum_000151\t50/950.mp3\t10.0\tgenre---pop",
        "track_0000951": "artist_000089\talbum_000151\t51/951.mp3\t10.0\tpop",
        "track_0000952": "artist_000089\talbum_000151\t52/952.mp3\t10.0\tgenre---pop",
    }
    lines = {name: f"{name}\t{row}\r\n" for name, row in rows.items()}
    write(root / "data/autotagging.tsv", head + "".join(lines.values()) + "track_1\tartist_1\r\n")
    parts = {"train": ("214", "950", "951"), "validation": ("948",), "test": ("949",)}
    for split, members in parts.items():
        chosen = [lines[f"track_{int(member):07d}"] for member in members]
        write(root / f"data/splits/split-0/autotagging-{split}.tsv", head + "".join(chosen))
    meta = "TRACK_ID\tARTIST_ID\tALBUM_ID\tTRACK_NAME\tARTIST_NAME\tALBUM_NAME\tRELEASEDATE\tURL\n"
    quoted = 'track_0000214\tartist_000014\talbum_000031\t"Ça\tThe "Ones\tLP 7"\t2004-12-28\thttp://j/214\n'
    tab_too_many = "track_0000948\tartist_000087\talbum_000149\tSong\t\tBand\tLP\t2005-01-01\thttp://j/948\n"
    write(root / "data/raw.meta.tsv", meta + quoted + tab_too_many)
    licence = (
        "14/214.mp3\nÇa by Ones from Jamendo: http://j/214\n"
        "Available under a Creative Commons Attribution license: http://creativecommons.org/licenses/by/2.0/\n\n"
    )
    write(root / "audio_licenses.txt", licence)
    sound(root / "audio/14/214.mp3")
    sound(root / "audio-low/48/948.low.mp3")
    sound(root / "raw_30s/audio/49/949.mp3")
    sound(root / "audio/51/951.mp3")
    sound(root / "audio/52/952.mp3")


def magnatagatune(root: Path) -> None:
    head = '"clip_id"\t"no voice"\t"singer"\t"guitar"\t"mp3_path"\n'
    rows = [
        '"2"\t"1"\t"0"\t"1"\t"b/a-b-01-c-0-29.mp3"\n',
        '"6"\t"0"\t"1"\t"0"\t"c/a-b-02-d-0-29.mp3"\n',
        '"10"\t"0"\t"0"\t"0"\t"f/a-b-03-e-0-29.mp3"\n',
        '"11"\t"0"\t"0"\t"0"\t"f/gone-0-29.mp3"\n',
        '"12"\t"0"\t"maybe"\t"0"\t"0/odd-0-29.mp3"\n',
        '"13"\t"0"\t"0"\t"0"\t""\n',
    ]
    write(root / "annotations_final.csv", head + "".join(rows))
    columns = [
        "clip_id",
        "track_number",
        "title",
        "artist",
        "album",
        "url",
        "segmentStart",
        "segmentEnd",
        "original_url",
        "mp3_path",
    ]
    quoted = [
        "2",
        "1",
        'Cantata ""54""',
        "Été",
        "Solo",
        "http://m/solo/",
        "0",
        "29",
        "http://h/1.mp3",
        "b/x.mp3",
    ]
    write(
        root / "clip_info_final.csv",
        "\t".join(columns) + "\n" + "\t".join(f'"{cell}"' for cell in quoted) + "\n",
    )
    for name in ("b/a-b-01-c-0-29", "c/a-b-02-d-0-29", "f/a-b-03-e-0-29", "0/odd-0-29"):
        sound(root / f"{name}.mp3")


def slakh_metadata(stems: str) -> str:
    return f"UUID: 1a81ae\nlmd_midi_dir: lmd_matched/O/1a81ae.mid\noverall_gain: 0.18\nstems:\n{stems}"


def slakh_stem(name: str, program: int, program_name: str, **flags: bool) -> str:
    said = {"audio_rendered": True, "is_drum": False, **flags}
    lines = [f"    {key}: {str(value).lower()}" for key, value in said.items()]
    lines += [f"    program_num: {program}", f"    midi_program_name: {program_name}", "    inst_class: X"]
    return f"  {name}:\n" + "\n".join(lines) + "\n"


def slakh(root: Path) -> None:
    first = root / "train/Track00001"
    stems = slakh_stem("S00", 40, "Violin") + slakh_stem("S01", 128, "Drums", is_drum=True)
    stems += slakh_stem("S02", 5, "Electric Piano 2", audio_rendered=False)
    write(first / "metadata.yaml", slakh_metadata(stems))
    sound(first / "mix.flac")
    write(first / "MIDI/S00.mid", "")
    (first / "MIDI/S00.mid").write_bytes(midi(40, [(1.0, 2.0, 69, 100)]))
    drums = [(0.0, 0.1, 38, 90), (0.5, 0.6, 93, 80)]
    (first / "MIDI/S01.mid").write_bytes(midi(0, drums, is_drum=True))
    for place in ("train/Track00049", "validation/Track01501", "test/Track01876", "test/Track01877"):
        write(root / place / "metadata.yaml", slakh_metadata(slakh_stem("S00", 0, "Acoustic Grand Piano")))
        sound(root / place / "mix.flac")
    (root / "test/Track01877/mix.flac").unlink()
    write(root / "test/Track01876/MIDI/S00.mid", "not a MIDI file")
    write(root / "test/Track01878/metadata.yaml", "stems: [1")
    sound(root / "test/Track01878/mix.flac")


def fsl10k(root: Path) -> None:
    pages = {
        "12": {
            "name": 'loop "12"',
            "username": "zoë",
            "tags": ["loop", "90bpm"],
            "license": "http://cc/by/3.0/",
        },
        "34": {"name": "b", "username": "ann", "annotations": {"bpm": "87.5"}, "avg_rating": float("nan")},
        "56": {"name": "c", "username": "ann"},
        "78": {"name": "d", "username": "bob"},
        "90": {"name": "e", "username": "cal"},
    }
    for number, page in pages.items():
        write(root / f"FSL10K/fs_analysis/{number}.json", json.dumps(page))
        if number != "56":
            sound(root / f"FSL10K/audio/wav/{number}_{page['username']}.wav.wav")
    sound(root / "FSL10K/audio/wav/99_nobody.aiff.wav")
    write(root / "FSL10K/metadata.json", json.dumps(pages))
    write(root / "FSL10K/parent_genres.json", json.dumps({"12": ["hip hop"]}))
    write(root / "FSL10K/ac_analysis/12_zoë_analysis.json", json.dumps({"tempo": 91, "tonality": "C major"}))
    parts = {"percussion": True, "bass": True, "chords": False, "melody": False, "fx": False, "vocal": False}
    one = {
        "discard": False, "save_for_later": False, "instrumentation": parts, "defined_tempo": True,
        "bpm": "90", "signature": "4/4", "well_cut": True, "key": "c#", "mode": "min",
        "genres": ["hip hop"], "comments": "",
    }  # fmt: skip
    two = {**one, "bpm": "180", "genres": ["hip hop", "global"], "instrumentation": {**parts, "bass": False}}
    later = {**one, "save_for_later": True, "bpm": "45", "comments": "which tempo?"}
    for annotator, answer in (("ann", one), ("ben", two), ("cat", {**one, "bpm": "90.0"}), ("dan", later)):
        write(root / f"annotations/{annotator}/sound-12.json", json.dumps(answer))
    write(root / "annotations/ann/sound-78.json", json.dumps({**one, "discard": True}))
    write(root / "annotations/ann/sound-90.json", '{"bpm": ')


def wavcaps(root: Path) -> None:
    freesound = [
        {"id": "1", "file_name": "a.wav", "tags": ["x", "y"], "author": "Zoë", "duration": 3.2,
         "audio": "wav_path", "caption": "Two guitars play a slow tune."},
        {"id": "2", "caption": "A business meeting takes place in a band of rocks.", "author": "b"},
        {"id": "3", "caption": "Drums play.", "author": "b"},
        {"id": "4", "caption": "A piano is played softly.", "author": "b"},
        {"id": "5", "caption": "", "author": "b"},
        {"id": "6", "caption": "A bird is singing a song."},
    ]  # fmt: skip
    audioset = [{"id": "Yabc.wav", "caption": "A woman is singing happily.", "duration": 10.0}]
    bbc = [
        {"description": "Music box, wound.", "category": "['Toys', 'Music']", "id": "07066104",
         "caption": "A music box is being wound.", "duration": 138.36, "audio": "wav_path"},
    ]  # fmt: skip
    for source, file, data in (
        ("FreeSound", "fsd_final.json", freesound),
        ("AudioSet_SL", "as_final.json", audioset),
        ("BBC_Sound_Effects", "bbc_final.json", bbc),
    ):
        page = {"num_captions_per_audio": 1, "data": data}
        write(root / f"json_files/{source}/{file}", json.dumps(page))
    for name in ("FreeSound/1", "FreeSound/2", "FreeSound/3", "AudioSet_SL/Yabc"):
        sound(root / f"waveforms/{name}.flac")
    sound(root / "waveforms/BBC_Sound_Effects_flac/07066104.flac")


def giantsteps_key(root: Path) -> None:
    for name, key in {"1.LOFI": "Gb minor", "2.LOFI": "D major", "3.LOFI": "", "4.LOFI": "C major"}.items():
        write(root / f"annotations/key/{name}.key", key)
        write(root / f"annotations/genre/{name}.genre", "indie-dance nu-disco")
        if name != "4.LOFI":
            sound(root / f"audio/{name}.mp3")


def jams(tempi: list[tuple[object, float]], genre: str = "") -> str:
    """A JAMS file as in GiantSteps tempo: tempi with the share of those who tapped them, and a genre."""
    observed = {"tempo": tempi, **({"tag_open": [(genre, 1.0)]} if genre else {})}
    parts = [
        {
            "namespace": namespace,
            "time": 0,
            "duration": None,
            "sandbox": {},
            "annotation_metadata": {"corpus": "GiantSteps Tempo", "version": "2.0", "annotator": {}},
            "data": [
                {"time": 0.0, "duration": 120.0, "value": value, "confidence": share} for value, share in data
            ],
        }
        for namespace, data in observed.items()
    ]
    about = {"title": "x", "artist": "", "release": "", "duration": 120, "jams_version": "0.2.0"}
    return json.dumps({"annotations": parts, "file_metadata": about, "sandbox": {}})


def giantsteps_tempo(root: Path) -> None:
    votes: dict[str, tuple[str, str, str, list[tuple[object, float]]]] = {
        "1.LOFI": ("137.6", "139.0", "77.0\t139.0\t0.309", [(77.0, 0.309), (139.0, 0.691)]),
        "2.LOFI": ("120", "0.0", "0.0\t0.0\t0.0", []),
        "3.LOFI": ("128", "x", "", [("x", 1.0)]),
        "4.LOFI": ("1", "1", "1.0\t0.0\t1.0", [(1.0, 1.0)]),
    }
    for name, (first, second, mirex, voted) in votes.items():
        write(root / f"annotations/tempo/{name}.bpm", first)
        write(root / f"annotations_v2/tempo/{name}.bpm", second)
        write(root / f"annotations_v2/mirex/{name}.mirex", mirex)
        write(root / f"annotations/genre/{name}.genre", "trance")
        write(root / f"annotations/jams/{name}.jams", jams([(float(first), 1.0)], "trance"))
        write(root / f"annotations_v2/jams/{name}.jams", jams(voted))
        if name != "4.LOFI":
            sound(root / f"audio/{name}.mp3")
    write(root / "splits/fold01.txt", "1.LOFI.mp3\n")
    write(root / "splits/fold10.txt", "2.LOFI.mp3\n3.LOFI.mp3\n5.LOFI.mp3\n")
    write(root / "splits/files.txt", "1.LOFI.mp3\n2.LOFI.mp3\n")


def gtzan(root: Path) -> None:
    for name in ("blues.00029", "blues.00000", "blues.00012", "country.00052", "hiphop.00099"):
        sound(root / f"genres/{name.split('.')[0]}/{name}.wav")
    write(root / "gtzan_tempo_beat-main/tempo/gtzan_blues_00029.bpm", "8.553e+01")
    write(root / "gtzan_tempo_beat-main/beats/gtzan_blues_00029.beats", "0.113\t1\n0.829\t2\n1.537\t3\n")
    write(root / "gtzan_tempo_beat-main/beats/gtzan_hiphop_00099.beats", "one\t1\n")


def medleydb(root: Path) -> None:
    stems = (
        "stems:\n  S02:\n    component: melody\n    instrument: [clarinet, oboe]\n"
        "    raw:\n      R02:\n        instrument: oboe\n      R01:\n        instrument: clarinet\n"
        "  S01:\n    component: bass\n    instrument: electric bass\n"
        "  S03:\n    component: ''\n    instrument: Main System\n"
    )
    for id_, artist in {"Elan_Été": "Élan", "Bo_Lost": "Bo"}.items():
        head = (
            f"title: '{id_}: a song'\nartist: {artist}\nalbum: ''\ngenre: World/Folk\ncomposer:\n- {artist}\n"
        )
        flags = "excerpt: 'no'\nhas_bleed: 'yes'\ninstrumental: 'yes'\nversion: 1.2\norigin: Music Delta\n"
        write(root / f"Metadata/{id_}_METADATA.yaml", head + flags + stems)
    write(root / "Metadata/Cy_Bad_METADATA.yaml", "artist: [")
    write(root / "Metadata/Di_NoStems_METADATA.yaml", "artist: Di\ngenre: Rock\n")
    sound(root / "Audio/Elan_Été/Elan_Été_MIX.wav")
    sound(root / "Audio/Di_NoStems/Di_NoStems_MIX.wav")


def nsynth(root: Path) -> None:
    good = {
        "note": 201034, "sample_rate": 16000, "instrument_family": 4,
        "qualities": [0, 1, 0, 0, 0, 0, 0, 0, 0, 1],
        "instrument_source_str": "acoustic", "instrument_family_str": "keyboard", "pitch": 69,
        "instrument_str": "keyboard_acoustic_004", "velocity": 25, "qualities_str": ["dark", "reverb"],
    }  # fmt: skip
    for folder, names in (("nsynth-train", ("a-069-025", "gone-069-025")), ("nsynth-valid", ("b-069-025",))):
        write(root / folder / "examples.json", json.dumps(dict.fromkeys(names, good)))
    bad = {name: value for name, value in good.items() if name != "pitch"}
    test = {"c-069-025": {**good, "qualities_str": []}, "bad-069-025": bad}
    write(root / "nsynth-test/examples.json", json.dumps(test))
    for name in ("train/audio/a", "valid/audio/b", "test/audio/c", "test/audio/bad"):
        sound(root / f"nsynth-{name}-069-025.wav")


def medley_solos_db(root: Path) -> None:
    rows = [
        "subset,instrument,instrument_id,song_id,uuid4",
        "test,clarinet,0,0,0e4371ac",
        "training,distorted electric guitar,1,5,b5ae4ffb",
        "validation,flute,3,210,d07b1fc0",
        "training,piano,4,6,gone",
        "training,violin,4,6,wrong",
        "dev,violin,7,6,unknown",
    ]
    write(root / "Medley-solos-DB_metadata.csv", "\n".join(rows) + "\n")
    for name in ("test-0_0e4371ac", "training-1_b5ae4ffb", "validation-3_d07b1fc0", "training-4_wrong"):
        sound(root / f"audio/Medley-solos-DB_{name}.wav")


TREES: dict[str, Callable[[Path], None]] = {
    build.__name__: build
    for build in (
        musiccaps, yt8m_musictextclips, musicnet, fma, mtg_jamendo, magnatagatune, slakh, fsl10k, wavcaps,
        giantsteps_key, giantsteps_tempo, gtzan, medleydb, nsynth, medley_solos_db,
    )
}  # fmt: skip
