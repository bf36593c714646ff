"""The models that subdomain1 publishes."""

from django.db import models
from django.utils import timezone


class Article(models.Model):
    title = models.CharField(max_length=200)
    body = models.TextField(blank=True)
    published = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["published", "id"]

    def __str__(self):
        return self.title
