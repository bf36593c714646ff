"""Make the database: 100 items in 5 categories."""

from app import Category, Item, app, db

with app.app_context():
    db.create_all()
    for n in range(5):
        db.session.add(Category(name="Category %d" % n, items=[Item(name="Item %d" % (20 * n + i), price=i) for i in range(20)]))
    db.session.commit()
