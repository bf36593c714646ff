"""A small shop: Flask, Flask-SQLAlchemy, Jinja."""

import os

from flask import Flask, jsonify, render_template, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import func

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///" + os.environ["BENCH_DATA"] + "/db.sqlite3"
app.secret_key = "only-for-the-benchmark"
db = SQLAlchemy(app)


class Category(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False)
    items = db.relationship("Item", back_populates="category")


class Item(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False)
    price = db.Column(db.Numeric(10, 2), nullable=False)
    category_id = db.Column(db.ForeignKey(Category.id), nullable=False)
    category = db.relationship(Category, back_populates="items")


@app.get("/")
def index():
    return render_template("index.html", categories=db.session.scalars(db.select(Category).order_by(Category.name)))


@app.get("/item/<int:number>")
def item(number):
    return render_template("item.html", item=db.get_or_404(Item, number))


@app.get("/search")
def search():
    found = db.session.scalars(db.select(Item).join(Category).where(Item.name.contains(request.args["q"])).order_by(Item.id))
    return jsonify([{"name": i.name, "category": i.category.name, "price": str(i.price)} for i in found])


@app.get("/totals")
def totals():
    rows = db.session.execute(db.select(Category.name, func.count(Item.id)).join(Item).group_by(Category.name))
    return jsonify(dict(map(tuple, rows)))
