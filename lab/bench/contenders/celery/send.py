"""Sends jobs: reads lines of {"task": name, "payloads": [...]} and answers each with a line."""

import json
import sys

from celery_worker import celery

with celery.connection_for_write() as connection, celery.amqp.Producer(connection) as producer:
    for line in sys.stdin:
        order = json.loads(line)
        for payload in order["payloads"]:
            celery.send_task(f"tasks.api_scraper.{order['task']}", kwargs=payload, producer=producer)
        print("sent", flush=True)
