"""The HTML of the training report, a jinja2 template rendered with autoescape."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1c2128; --soft: #5d6673; --line: #d9dde3; --page: #fff;
  --card: #f6f7f9; --best: #2f7fd6; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e6ea; --soft: #9aa3af; --line: #363c45; --page: #15181c; --card: #1d2126;
    --best: #6aaaf0; } }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.25rem 4rem; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { margin: .4rem 0; } .soft { color: var(--soft); } .lead { font-size: 1.1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { font-weight: 600; }
tbody th { font-weight: 400; } .best { font-weight: 700; color: var(--best); }
.group th { padding-top: .9rem; color: var(--soft); font-size: .85rem; }
.facts th { width: 9rem; color: var(--soft); vertical-align: top; }
.facts td { text-align: left; overflow-wrap: anywhere; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
figure { margin: 0; padding: .8rem; background: var(--card); border-radius: 8px; }
figcaption { font-size: .9rem; color: var(--soft); margin-bottom: .4rem; }
svg { width: 100%; height: auto; display: block; }
code { font-size: .9em; }
</style>
</head>
<body>
<h1>{{ title }}</h1>
<p class="lead">{{ verdict }}</p>
{% if decision %}<p>{{ decision }}.</p>{% endif %}

<h2>Errors on the hold-out</h2>
<table class="scores">
<thead><tr><th></th>
{% for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead>
{% for table in tables %}
<tbody>
<tr class="group"><th colspan="{{ columns | length + 1 }}">{{ table.label }}</th></tr>
{% for name, cells in table.rows.items() %}
<tr><th scope="row">{{ name }}</th>
{% for text, best in cells %}
<td{% if best %} class="best"{% endif %}>{{ text }}</td>
{% endfor %}
</tr>
{% endfor %}
</tbody>
{% endfor %}
</table>
<p class="soft">Over all observed speeds of the hold-out, the last windows in time; <em>mean</em> is
over all steps. F1 is for congestion: below {{ congested }} of the link's free-flow speed, which
is the 85th percentile of its training speeds. Best figures stand out.</p>

{% if drawings.day is defined %}
<h2>Forecast against actual, {{ date }}</h2>
<figure><figcaption>The day of the hold-out whose speeds vary most; links from the most variable
to the median one. Each point was forecast that long before; congested hours are shaded.
</figcaption>{{ drawings.day }}</figure>
{% endif %}

<h2>Where the errors are</h2>
<div class="pair">
<figure><figcaption>By how far ahead</figcaption>{{ drawings.by_step }}</figure>
<figure><figcaption>By hour of day, all steps</figcaption>{{ drawings.by_hour }}</figure>
</div>

<h2>What it was trained on</h2>
<table class="facts"><tbody>
{% for name, text in facts %}<tr><th scope="row">{{ name }}</th><td>{{ text }}</td></tr>
{% endfor %}
{% for day, reason in absent %}<tr><th scope="row">Absent</th><td>{{ day }}: {{ reason }}</td></tr>
{% endfor %}
</tbody></table>

<h2>How it learned</h2>
<div class="pair">
<figure><figcaption>Loss and validation error; epoch {{ best_epoch }} was kept</figcaption>
{{ drawings.learning }}</figure>
<div><table class="facts"><tbody>
{% for name, value in config %}
<tr><th scope="row"><code>{{ name }}</code></th><td>{{ value }}</td></tr>
{% endfor %}
</tbody></table></div>
</div>
</body>
</html>
"""
