"""The small pipeline that the end-to-end tests run."""

from luigi_traffic.crashpoints import CrashPoint

#: Homes lie in a folder such as people have: blanks, Korean letters, signs of addresses.
FOLDER = "바탕 화면 #1 [ab] 100%"
#: A town of eight links: big enough for every stage, small enough for twenty runs.
SMALL = {
    "LUIGI_TRAFFIC__DATASETS__ITS_SIM__LINKS_COUNT": "8",
    "LUIGI_TRAFFIC__SPARK__DRIVER_MEMORY": "1g",
    "LUIGI_TRAFFIC__SPARK__SHUFFLE_PARTITIONS": "2",
}
PIPELINE = (
    "luigi", "--module", "luigi_traffic.run", "FullPipeline", "--dataset", "its_sim",
    "--model", "convlstm", "--date", "2024-01-10", "--window-days", "2",
    "--training",
    '{"epochs": 2, "samples_per_epoch": 1000, "validation_samples": 500, "evaluation_windows": 50,'
    ' "hidden": [4, 8], "head": 8}',
    "--local-scheduler",
)  # fmt: skip
#: A run that finds all done must not pass any point; the first one of a run stands for all.
UNSEEN = CrashPoint.RAW_DOWNLOADED.value
