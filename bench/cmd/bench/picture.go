package main

import (
	"fmt"
	"html"
	"strings"
)

// Dimensions of the picture, in pixels.
const (
	labelWidth = 400
	barWidth   = 460
	rowHeight  = 20
	width      = labelWidth + barWidth + 90
)

// colours are those of the bars, by what did the work.
var colours = map[string]string{byStage: "#9ab0c4", byWorker: "#2b6cb0", byLakeFS: "#c05621"}

// Picture returns the rows as bars, in SVG: CPU first, then wall times.
func (r Report) Picture() []byte {
	var b strings.Builder
	y := 30
	y = bars(&b, y, "CPU-seconds per million objects, no latency", r.Rows,
		func(row Row) bool { return row.Kind == plain || row.Kind == large || row.Kind == huge }, Row.CPUPerMillion)
	y = bars(&b, y+20, "wall seconds, latency of each LIST", r.Rows,
		func(row Row) bool {
			return row.Kind == late || row.Kind == shape || row.Kind == faulty || row.Kind == walked
		},
		func(row Row) float64 { return row.Wall.Seconds() })
	footer := fmt.Sprintf("%s, %s, %d cores, %s", r.Date.Format("2006-01-02"), r.Machine.CPU, r.Machine.Cores, r.Machine.Go)
	fmt.Fprintf(&b, `<text x="10" y="%d" fill="#777">%s</text>`+"\n", y+20, html.EscapeString(footer))
	return fmt.Appendf(nil, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="12">`+
		"\n"+`<rect width="100%%" height="100%%" fill="white"/>`+"\n%s</svg>\n", width, y+36, b.String())
}

// bars draws the rows of one group and returns where the next one may start.
func bars(b *strings.Builder, y int, title string, rows []Row, of func(Row) bool, value func(Row) float64) int {
	var most float64
	for _, row := range rows {
		if of(row) {
			most = max(most, value(row))
		}
	}
	fmt.Fprintf(b, `<text x="10" y="%d" font-size="15" font-weight="bold">%s</text>`+"\n", y, html.EscapeString(title))
	y += 10
	for _, row := range rows {
		if !of(row) {
			continue
		}
		w := max(1, value(row)/most*barWidth)
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, labelWidth-8, y+14, html.EscapeString(row.Name))
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`, labelWidth, y+3, w, rowHeight-6, colours[row.By])
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%.3g</text>`+"\n", labelWidth+w+6, y+14, value(row))
		y += rowHeight
	}
	return y
}
