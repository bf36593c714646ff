"""The models that subdomain2 announces."""

from django.db import models


class Event(models.Model):
    name = models.CharField(max_length=200)
    place = models.CharField(max_length=200, blank=True)
    day = models.DateField()

    class Meta:
        ordering = ["day", "id"]

    def __str__(self):
        return self.name
