package deploy_test

import (
	"bytes"
	"flag"
	"fmt"
	pixels "image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"
)

var update = flag.Bool("update", false, "store pictures of the boards in docs/boards")

// Sizes of pictures, in pixels.
const (
	cellWidth, cellHeight = 48, 22 // of the grid of a board
	gap                   = 4
	lineHeight            = 14
	mostLegends           = 4
	mostBytes             = 150 << 10
	pictureTime           = 2 * time.Minute
)

// Colors of pictures.
var (
	paper  = color.RGBA{0xf4, 0xf5, 0xf5, 0xff}
	card   = color.RGBA{0xff, 0xff, 0xff, 0xff}
	ink    = color.RGBA{0x24, 0x29, 0x2e, 0xff}
	faint  = color.RGBA{0xd8, 0xda, 0xdd, 0xff}
	pencil = []color.RGBA{
		{0x37, 0x87, 0x2d, 0xff},
		{0x1f, 0x60, 0xc4, 0xff},
		{0xe0, 0x8b, 0x00, 0xff},
		{0xc4, 0x16, 0x2a, 0xff},
		{0x8f, 0x3b, 0xb8, 0xff},
		{0x00, 0x8f, 0x95, 0xff},
		{0x7a, 0x5c, 0x2e, 0xff},
	}
)

// drawBoards draws each board from the data of the last minutes.
func drawBoards(t *testing.T, p *prometheus) {
	t.Helper()
	for _, b := range boards(t) {
		d := newDrawing(b)
		for _, panel := range b.Panels {
			d.panel(panel, linesOf(t, p, panel))
		}
		var text bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&text, d.picture); err != nil {
			t.Fatal(err)
		}
		if text.Len() > mostBytes {
			t.Errorf("the picture of %s has %d bytes, want %d at most", b.UID, text.Len(), mostBytes)
		}
		if *update {
			if err := os.WriteFile(filepath.Join("../../docs/boards", b.UID+".png"), text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// line is a series of a panel.
type line struct {
	legend string
	points [][2]float64
}

func linesOf(t *testing.T, p *prometheus, panel panel) (all []line) {
	t.Helper()
	now := time.Now()
	for _, q := range panel.Targets {
		found, err := p.series(t.Context(), "query_range", url.Values{
			"query": {everything.Replace(q.Expr)}, "step": {"2"},
			"start": {fmt.Sprint(now.Add(-pictureTime).Unix())}, "end": {fmt.Sprint(now.Unix())},
		})
		if err != nil {
			t.Fatalf("%s: %v", q.Expr, err)
		}
		for _, s := range found {
			legend := q.LegendFormat
			for name, value := range s.Metric {
				legend = strings.ReplaceAll(legend, "{{"+name+"}}", value)
			}
			all = append(all, line{legend, s.Values})
		}
	}
	return all
}

// drawing is the picture of a board.
type drawing struct {
	picture *pixels.Paletted
	begin   float64 // of the time that is shown, in seconds since 1970
}

func newDrawing(b board) *drawing {
	height := 0
	for _, p := range b.Panels {
		height = max(height, p.GridPos.Y+p.GridPos.H)
	}
	palette := color.Palette{paper, card, ink, faint}
	for _, c := range pencil {
		palette = append(palette, c)
	}
	d := &drawing{pixels.NewPaletted(pixels.Rect(0, 0, 24*cellWidth, height*cellHeight+2*lineHeight), palette), float64(time.Now().Add(-pictureTime).Unix())}
	d.fill(d.picture.Bounds(), paper)
	d.text(8, lineHeight+2, b.Title, ink)
	return d
}

func (d *drawing) fill(r pixels.Rectangle, c color.Color) {
	draw.Draw(d.picture, r, pixels.NewUniform(c), pixels.Point{}, draw.Src)
}

func (d *drawing) text(x, y int, text string, c color.Color) {
	writer := font.Drawer{Dst: d.picture, Src: pixels.NewUniform(c), Face: basicfont.Face7x13, Dot: fixed.P(x, y)}
	writer.DrawString(text)
}

// clip shortens a text to a width in pixels.
func clip(text string, width int) string {
	return text[:min(len(text), max(0, width/basicfont.Face7x13.Advance))]
}

func (d *drawing) panel(p panel, lines []line) {
	g := p.GridPos
	at := pixels.Rect(g.X*cellWidth, g.Y*cellHeight, (g.X+g.W)*cellWidth, (g.Y+g.H)*cellHeight).Add(pixels.Pt(0, 2*lineHeight)).Inset(gap / 2)
	if p.Type == "row" {
		d.text(at.Min.X+gap, at.Max.Y-gap, p.Title, ink)
		return
	}
	d.fill(at, card)
	d.text(at.Min.X+gap, at.Min.Y+lineHeight, clip(p.Title, at.Dx()-gap), ink)
	if p.Type == "stat" {
		value := "no data"
		if len(lines) > 0 {
			points := lines[0].points
			value = number(points[len(points)-1][1], p.FieldConfig.Defaults.Unit)
		}
		d.text(at.Min.X+at.Dx()/2-3*len(value), at.Min.Y+at.Dy()/2+lineHeight, value, pencil[1])
		return
	}
	d.graph(at, p.FieldConfig.Defaults.Unit, lines)
}

// graph draws the lines and the legends of the first of them.
func (d *drawing) graph(at pixels.Rectangle, unit string, lines []line) {
	slices.SortFunc(lines, func(a, b line) int { return strings.Compare(a.legend, b.legend) })
	shown := min(len(lines), mostLegends)
	area := pixels.Rect(at.Min.X+gap, at.Min.Y+2*lineHeight, at.Max.X-gap, at.Max.Y-gap-lineHeight*((shown+1)/2))
	most := 0.0
	for _, l := range lines {
		for _, point := range l.points {
			if !math.IsInf(point[1], 0) && !math.IsNaN(point[1]) {
				most = max(most, point[1])
			}
		}
	}
	d.fill(pixels.Rect(area.Min.X, area.Max.Y, area.Max.X, area.Max.Y+1), faint)
	d.fill(pixels.Rect(area.Min.X, area.Min.Y, area.Max.X, area.Min.Y+1), faint)
	d.text(area.Max.X-7*len(number(most, unit)), area.Min.Y-2, number(most, unit), ink)
	for i, l := range lines {
		d.line(area, most, l, pencil[i%len(pencil)])
		if i < shown {
			x := at.Min.X + gap + i%2*at.Dx()/2
			d.text(x, area.Max.Y+lineHeight*(1+i/2), clip("- "+l.legend, at.Dx()/2-gap), pencil[i%len(pencil)])
		}
	}
}

// line draws a line from point to point, unless there are none in between.
func (d *drawing) line(area pixels.Rectangle, most float64, l line, c color.Color) {
	place := func(point [2]float64) (x, y float64) {
		share := 0.0
		if most > 0 {
			share = min(1, max(0, point[1]/most))
		}
		return float64(area.Min.X) + (point[0]-d.begin)/pictureTime.Seconds()*float64(area.Dx()), float64(area.Max.Y) - share*float64(area.Dy())
	}
	for i := 1; i < len(l.points); i++ {
		a, b := l.points[i-1], l.points[i]
		if math.IsNaN(a[1]) || math.IsNaN(b[1]) || b[0]-a[0] > 10 {
			continue
		}
		x1, y1 := place(a)
		x2, y2 := place(b)
		steps := max(1, int(max(math.Abs(x2-x1), math.Abs(y2-y1))))
		for k := range steps + 1 {
			share := float64(k) / float64(steps)
			at := pixels.Pt(int(x1+(x2-x1)*share), int(y1+(y2-y1)*share))
			if at.In(pixels.Rect(area.Min.X, area.Min.Y, area.Max.X, area.Max.Y+1)) {
				d.picture.Set(at.X, at.Y, c)
			}
		}
	}
}

// number returns a value with its unit, as Grafana shows them.
func number(v float64, unit string) string {
	suffix := map[string]string{"s": " s", "reqps": " req/s", "ops": " /s", "bytes": "B", "Bps": "B/s", "percentunit": " %"}[unit]
	if unit == "percentunit" {
		v *= 100
	}
	scale, thousand := "", 1000.0
	for _, next := range []string{" k", " M", " G", " T"} {
		if unit == "s" || math.Abs(v) < thousand || math.IsInf(v, 0) {
			break
		}
		v, scale = v/thousand, next
	}
	return strconv.FormatFloat(v, 'g', 3, 64) + scale + suffix
}

// Lines are drawn where they belong, and a panel without data says so.
func TestDrawing(t *testing.T) {
	var b board
	b.Title = "Board"
	stat, graph := panel{Type: "stat", Title: "Stat"}, panel{Type: "timeseries", Title: "Graph"}
	stat.GridPos.W, stat.GridPos.H = 4, 4
	graph.GridPos.X, graph.GridPos.W, graph.GridPos.H = 4, 8, 8
	b.Panels = []panel{stat, graph}
	blank, full := newDrawing(b), newDrawing(b)
	full.begin = 0
	blank.panel(graph, nil)
	full.panel(graph, []line{{"l", [][2]float64{{10, 1}, {11, 1}}}})
	differ := 0
	for x := range full.picture.Bounds().Dx() {
		for y := range full.picture.Bounds().Dy() {
			if full.picture.At(x, y) == pencil[0] {
				differ++
			}
			if blank.picture.At(x, y) == pencil[0] {
				t.Fatal("a line is drawn without data")
			}
		}
	}
	if differ == 0 {
		t.Error("no line is drawn")
	}
	blank.panel(stat, nil)
	full.panel(stat, []line{{"s", [][2]float64{{10, 12345}}}})
	if bytes.Equal(blank.picture.Pix, full.picture.Pix) {
		t.Error("the value of a stat does not show")
	}
	for _, tc := range []struct {
		value      float64
		unit, want string
	}{{12345, "ops", "12.3 k /s"}, {0.25, "percentunit", "25 %"}, {7200, "s", "7.2e+03 s"}, {0, "short", "0"}} {
		if got := number(tc.value, tc.unit); got != tc.want {
			t.Errorf("%v %s is shown as %q, want %q", tc.value, tc.unit, got, tc.want)
		}
	}
}
