"""Articles in the admin of every site that installs this app."""

from django.contrib import admin

from articles.models import Article


@admin.register(Article)
class ArticleAdmin(admin.ModelAdmin):
    list_display = ["title", "published"]
    search_fields = ["title", "body"]
