"""The plugin `tiny` of the tests: a dataset with settings, and a model; neither computes anything.

Its text is what tests install, some of them with changes (`plugin_sources.TINY`).
"""

from datetime import timedelta

import luigi_traffic as lt

luigi_traffic_api = 2


class TinySettings(lt.DatasetSettings):
    glob: str = lt.setting("/nowhere/{date}.csv", stage="raw", description="files")
    max_speed: float = lt.setting(150.0, stage="bronze", description="fastest")
    patience: int = lt.setting(1, stage=None, description="changes no data")
    undeclared: int = 0


class TinyDataset(lt.Dataset):
    name = "tiny"
    version = "1"
    interval = timedelta(minutes=5)
    timezone = "Asia/Seoul"
    measures = {"speed": "km/h", "flow": "veh/h"}
    Settings = TinySettings

    def source(self):
        return lt.Files(self.settings.glob)

    def header(self, first_line):
        return first_line == "time,link,speed"

    def bronze(self, spark, raw):
        raise NotImplementedError

    def silver(self, bronze):
        raise NotImplementedError

    def graph(self):
        return lt.LinkGraph.from_edges([("a", "b"), ("b", "c")])


class TinyConfig(lt.ModelConfig):
    hidden: int = 4


class TinyModel(lt.Model):
    name = "tiny_model"
    version = "1"
    Config = TinyConfig

    def channels(self, config):
        return (lt.TARGET,)

    def build(self, config, shape, context):
        raise NotImplementedError


@lt.hookimpl
def luigi_traffic_datasets():
    return [TinyDataset]


@lt.hookimpl
def luigi_traffic_models():
    return [TinyModel]
