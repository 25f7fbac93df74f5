import requests

from celery_worker import celery

session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=1000))


@celery.task
def call(url):
    session.get(url).content


@celery.task
def noop(n):
    pass
