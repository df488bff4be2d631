"""Syne Tune's asynchronous successive halving, with random proposals and with its models, asked and told event by event.

Each line that it reads is an event: `{"suggest": TRIAL}` is answered by genes, `{"trial": TRIAL, "epochs": N, "score": S, "last":
BOOL}` by the decision. Genes of `choices` are categories, as they are for its own tables.
"""

import datetime
import json
import random
import sys

import numpy as np
from conversation import settings, write
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import choice
from syne_tune.optimizer.baselines import ASHA, ASHABORE, BOHB

given = settings()
random.seed(given["seed"])
np.random.seed(given["seed"])
make = {"asha": ASHA, "asha bore": ASHABORE, "bohb": BOHB}[given["method"]]
space = {name: choice(values) for name, values in given["choices"].items()}
scheduler = make(
    space,
    metric="score",
    do_minimize=False,
    random_seed=given["seed"],
    time_attr="epochs",
    max_t=given["max_t"],
    grace_period=given["grace_period"],
    reduction_factor=given["reduction_factor"],
)
trials: dict[int, Trial] = {}
for line in sys.stdin:
    event = json.loads(line)
    if "suggest" in event:
        number = event["suggest"]
        trials[number] = Trial(number, scheduler.suggest().config, datetime.datetime.now())
        scheduler.on_trial_add(trials[number])
        write(trials[number].config)
        continue
    trial, result = trials[event["trial"]], {"score": event["score"], "epochs": event["epochs"]}
    decision = scheduler.on_trial_result(trial, result)
    if event["last"] or decision == "STOP":
        scheduler.on_trial_complete(trial, result)
    write(decision)
