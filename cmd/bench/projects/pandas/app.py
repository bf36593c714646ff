"""A report: Flask and pandas."""

import io

import numpy as np
import pandas as pd
from flask import Flask, jsonify

app = Flask(__name__)
rows = np.arange(2000)
sales = pd.DataFrame({
    "day": pd.Timestamp("2026-01-01") + pd.to_timedelta(rows % 365, unit="D"),
    "shop": np.array(["north", "south", "east", "west"])[rows % 4],
    "amount": (rows * 7919) % 1000 / 10,
})


@app.get("/")
def index():
    return "<!doctype html><title>Sales</title>" + sales.groupby("shop")["amount"].describe().round(2).to_html()


@app.get("/months")
def months():
    table = sales.pivot_table(index=sales["day"].dt.month, columns="shop", values="amount", aggfunc="sum").round(2)
    return jsonify(table.to_dict())


@app.get("/csv")
def csv():
    out = io.StringIO()
    sales[sales["amount"] > 95].to_csv(out, index=False)
    return out.getvalue(), {"Content-Type": "text/csv"}


@app.get("/hello")
def hello():
    return "hello"
