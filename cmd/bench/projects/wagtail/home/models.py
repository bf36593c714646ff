from wagtail.admin.panels import FieldPanel
from wagtail.blocks import CharBlock, RichTextBlock
from wagtail.fields import StreamField
from wagtail.images.blocks import ImageChooserBlock
from wagtail.models import Page


class ArticlePage(Page):
    body = StreamField([
        ("heading", CharBlock()),
        ("paragraph", RichTextBlock()),
        ("image", ImageChooserBlock()),
    ], blank=True)
    content_panels = Page.content_panels + [FieldPanel("body")]
