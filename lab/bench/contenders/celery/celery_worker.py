"""An app that loads only its settings; -I names the tasks."""

import os

from celery import Celery
from celery.signals import worker_ready

celery = Celery("bench", broker=os.environ["REDIS_URL"])
celery.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    task_routes={"tasks.api_scraper.*": {"queue": "api-scraper"}},
)


@worker_ready.connect
def tell(**_):
    print("ready", flush=True)
