package main

import (
	"fmt"
	"strings"
)

// Sizes in the units of Grafana, in which a board is 24 wide.
const (
	boardWidth               = 24
	statWidth, statHeight    = 4, 4
	graphWidth, graphHeight  = 8, 8
	rowHeight                = 1
	schemaVersion            = 39
	matchers                 = `fleet=~"$fleet", job=~"$job", instance=~"$instance"`
	green, yellow, red, blue = "green", "yellow", "red", "blue"
)

// object is a JSON object. Its keys are encoded in alphabetical order.
type object = map[string]any

// render returns what Grafana imports.
func (b board) render() object {
	return object{
		"uid": b.uid, "title": b.title, "description": b.about, "tags": []string{"rangefleet"},
		"schemaVersion": schemaVersion, "editable": false, "timezone": "browser", "graphTooltip": 1, "refresh": "30s",
		"time":       object{"from": "now-1h", "to": "now"},
		"templating": object{"list": b.variables()}, "links": b.renderLinks(), "panels": b.renderPanels(),
	}
}

func datasource() object { return object{"type": "prometheus", "uid": "${datasource}"} }

// variables returns the variables of the board. Each choice narrows the next one.
func (b board) variables() []object {
	choice := func(name, label, query string) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": datasource(), "query": query, "definition": query,
			"refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		}
	}
	all := []object{
		{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
		choice("fleet", "Fleet", "label_values(rangefleet_build_info, fleet)"),
		choice("job", "Job", `label_values(rangefleet_build_info{fleet=~"$fleet"}, job)`),
		choice("instance", "Process", `label_values(rangefleet_build_info{fleet=~"$fleet", job=~"$job"}, instance)`),
	}
	for _, i := range b.inputs {
		all = append(all, object{"name": i.name, "label": i.label, "type": "textbox", "query": "", "current": object{"text": "", "value": ""}})
	}
	return all
}

func (b board) renderLinks() []object {
	all := []object{{
		"title": "Rangefleet", "type": "dashboards", "tags": []string{"rangefleet"}, "asDropdown": false, "includeVars": true, "keepTime": true,
	}}
	for _, l := range b.links {
		all = append(all, object{"title": l.title, "tooltip": l.about, "type": "link", "url": l.url, "targetBlank": true})
	}
	return all
}

// renderPanels places the panels. Grafana refers to them by their numbers.
func (b board) renderPanels() (all []object) {
	y := 0
	add := func(panel object, x, width, height int) {
		panel["id"] = len(all) + 1
		panel["gridPos"] = object{"x": x, "y": y, "w": width, "h": height}
		all = append(all, panel)
	}
	for _, r := range b.rows {
		add(object{"type": "row", "title": r.title, "collapsed": false, "panels": []object{}}, 0, boardWidth, rowHeight)
		y += rowHeight
		x, line := 0, 0
		for _, p := range r.panels {
			width, height := p.size()
			if x+width > boardWidth || line != 0 && height != line {
				x, y = 0, y+line
			}
			line = height
			add(p.render(), x, width, height)
			x += width
		}
		y += line
	}
	return all
}

func (p panel) size() (width, height int) {
	if p.stat {
		return statWidth, statHeight
	}
	return graphWidth, graphHeight
}

func (p panel) render() object {
	defaults := object{"unit": p.unit, "min": 0}
	panel := object{
		"title": p.title, "description": p.about, "datasource": datasource(), "targets": p.targets(),
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}},
	}
	if !p.stat {
		panel["type"] = "timeseries"
		panel["options"] = object{"legend": object{"displayMode": "list", "placement": "bottom"}, "tooltip": object{"mode": "multi", "sort": "desc"}}
		defaults["custom"] = object{"fillOpacity": 10, "showPoints": "never"}
		return panel
	}
	panel["type"] = "stat"
	panel["options"] = object{"reduceOptions": object{"calcs": []string{"lastNotNull"}}, "colorMode": "value", "graphMode": "area", "textMode": "value"}
	defaults["thresholds"] = object{"mode": "absolute", "steps": p.thresholds()}
	if len(p.words) > 0 {
		options := object{}
		for value, word := range p.words {
			options[value] = object{"text": word}
		}
		defaults["mappings"] = []object{{"type": "value", "options": options}}
	}
	return panel
}

// thresholds returns from which values on a stat has which color.
func (p panel) thresholds() []object {
	step := func(color string, from any) object { return object{"color": color, "value": from} }
	switch {
	case p.any:
		return []object{step(red, nil), step(green, 1)}
	case p.warn > 0:
		return []object{step(green, nil), step(yellow, p.warn), step(red, p.bad)}
	}
	return []object{step(blue, nil)}
}

func (p panel) targets() (all []object) {
	for i, q := range p.queries {
		legend := q.legend
		if legend == "" {
			legend = p.title
		}
		target := object{"refId": fmt.Sprintf("%c", 'A'+i), "datasource": datasource(), "legendFormat": legend, "expr": expression(q.expr)}
		if p.exemplars {
			target["exemplar"] = true
		}
		all = append(all, target)
	}
	return all
}

// expression puts the matchers of the variables into each selector.
func expression(short string) string {
	if strings.Contains(short, "ALERTS{") {
		return strings.ReplaceAll(short, "{", `{fleet=~"$fleet", `)
	}
	return strings.ReplaceAll(strings.ReplaceAll(short, "{", "{"+matchers+", "), ", }", "}")
}
