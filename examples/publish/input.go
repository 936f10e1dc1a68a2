package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pinterest-go/pinterest"
)

// row is one pin of the input file.
type row struct {
	number int // from 1; a CSV file's header is not counted
	pin    pinterest.PinCreate
}

// key identifies the row by its content and its board, not by its position in the
// file, so that a file can be reordered or extended between two runs.
func (r row) key() string {
	data, err := json.Marshal(r.pin)
	if err != nil {
		panic(err) // a PinCreate is made of texts
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:12])
}

// name is the row's name in messages.
func (r row) name() string {
	for _, s := range []string{r.pin.Title, r.pin.Link, r.pin.MediaSource.URL} {
		if s = printable(s); s != "" {
			return s
		}
	}
	return fmt.Sprintf("row %d", r.number)
}

// fields says where each field of the file goes, in the order of the help text.
var fields = []struct {
	name string
	set  func(*pinterest.PinCreate, string)
}{
	{"title", func(p *pinterest.PinCreate, v string) { p.Title = v }},
	{"description", func(p *pinterest.PinCreate, v string) { p.Description = v }},
	{"link", func(p *pinterest.PinCreate, v string) { p.Link = v }},
	{"image_url", func(p *pinterest.PinCreate, v string) { p.MediaSource = pinterest.ImageURL(v) }},
	{"alt_text", func(p *pinterest.PinCreate, v string) { p.AltText = v }},
	{"board_section_id", func(p *pinterest.PinCreate, v string) { p.BoardSectionID = v }},
	{"dominant_color", func(p *pinterest.PinCreate, v string) { p.DominantColor = v }},
}

func fieldNames() string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return strings.Join(names, ", ")
}

// set puts one field into the pin. It reports whether there is such a field.
func set(p *pinterest.PinCreate, name, value string) bool {
	for _, f := range fields {
		if f.name == name {
			f.set(p, value)
			return true
		}
	}
	return false
}

// input is what a file holds, and everything that is wrong with it.
type input struct {
	file     string
	rows     []row
	problems []problem // nothing is sent while there is one
	notes    []string  // worth knowing, no reason to stop
}

// problem is something wrong with a row.
type problem struct {
	row  int
	text string
}

func (in *input) problem(row int, format string, args ...any) {
	in.problems = append(in.problems, problem{row, fmt.Sprintf(format, args...)})
}

// inputError lists what is wrong with a file.
type inputError struct{ *input }

func (e inputError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s cannot be published: %s; nothing was sent", e.file, count(len(e.problems), "problem"))
	for _, p := range slices.SortedStableFunc(slices.Values(e.problems), func(a, b problem) int { return a.row - b.row }) {
		fmt.Fprintf(&b, "\n  %s, row %d: %s", e.file, p.row, p.text)
	}
	return b.String()
}

// readInput reads the file, or stdin where it is "-".
func readInput(file string, stdin io.Reader) (*input, error) {
	var data []byte
	var err error
	if file == "-" {
		file = "stdin"
		data, err = io.ReadAll(stdin)
	} else {
		data, err = os.ReadFile(file) //nolint:gosec // the user's own file
	}
	if err != nil {
		return nil, err
	}
	return parseInput(file, data)
}

// parseInput reads the rows of a file and checks each as the library would
// before sending it: whoever wrote the file learns of all mistakes at once.
func parseInput(file string, data []byte) (*input, error) {
	in := &input{file: file}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // spreadsheets write a byte order mark
	var err error
	switch first := bytes.TrimSpace(data); {
	case len(first) == 0:
		return nil, fmt.Errorf("%s is empty", file)
	case first[0] == '[' || first[0] == '{':
		err = in.parseJSON(data)
	default:
		err = in.parseCSV(data)
	}
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", file, err)
	}
	in.check()
	if len(in.problems) > 0 {
		return nil, inputError{in}
	}
	if len(in.rows) == 0 {
		return nil, fmt.Errorf("%s has no pins", file)
	}
	in.dropDuplicates()
	return in, nil
}

func (in *input) parseJSON(data []byte) error {
	var objects []json.RawMessage
	err := json.Unmarshal(data, &objects)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		line := 1 + bytes.Count(data[:syntax.Offset], []byte("\n"))
		return fmt.Errorf("line %d: %w", line, err)
	case err != nil:
		return errors.New("the JSON must be an array of objects: [{\"title\": ...}, ...]")
	}
	for i, raw := range objects {
		in.addObject(i+1, raw)
	}
	return nil
}

func (in *input) addObject(number int, raw json.RawMessage) {
	var object map[string]any
	if err := json.Unmarshal(raw, &object); err != nil || object == nil {
		in.problem(number, "must be an object, is %.40s", raw)
		return
	}
	r := row{number: number}
	for _, name := range sortedKeys(object) {
		value, isText := object[name].(string)
		switch {
		case !set(&r.pin, name, value):
			in.problem(number, "unknown field %q (known are %s)", name, fieldNames())
		case !isText && object[name] != nil:
			in.problem(number, "%s must be a text, is %v", name, object[name])
		}
	}
	in.rows = append(in.rows, r)
}

func (in *input) parseCSV(data []byte) error {
	reader := csv.NewReader(bytes.NewReader(data))
	reader.FieldsPerRecord = -1 // counted below, so that every bad row is named
	header, err := reader.Read()
	if err != nil {
		return err
	}
	for i, name := range header {
		header[i] = strings.TrimSpace(name)
	}
	if err := checkHeader(header); err != nil {
		return err
	}
	for number := 1; ; number++ {
		record, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		r := row{number: number}
		if len(record) != len(header) {
			line, _ := reader.FieldPos(0)
			in.problem(number, "has %s where the header has %d (line %d)", count(len(record), "column"), len(header), line)
			continue
		}
		for i, value := range record {
			set(&r.pin, header[i], value)
		}
		in.rows = append(in.rows, r)
	}
}

func checkHeader(header []string) error {
	var unknown []string
	for i, name := range header {
		if slices.Contains(header[:i], name) {
			return fmt.Errorf("the column %q is there twice", name)
		}
		if !set(new(pinterest.PinCreate), name, "") {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	switch {
	case len(unknown) == 0:
		return nil
	case len(header) == 1 && strings.ContainsAny(header[0], ";\t"):
		return errors.New("its columns are not separated by commas")
	}
	return fmt.Errorf("unknown column %s (known are %s)", strings.Join(unknown, ", "), fieldNames())
}

// check asks the library about every row. The board is not the file's matter,
// so any id stands in for it.
func (in *input) check() {
	for _, r := range in.rows {
		pin := r.pin
		pin.BoardID = "1"
		noImage := pin.MediaSource.URL == ""
		if noImage {
			in.problem(r.number, "image_url is required")
			pin.MediaSource = pinterest.ImageURL("https://example.com/")
		}
		for _, f := range fieldErrors(pin.Validate()) {
			in.problem(r.number, "%s", ownNames(f.Error()))
		}
	}
}

// fieldErrors splits an error of Validate into its field errors.
func fieldErrors(err error) []error {
	var list interface{ Unwrap() []error }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return list.Unwrap()
	}
	return []error{err}
}

// ownNames turns the API's name of a field into the file's.
func ownNames(text string) string {
	return strings.ReplaceAll(text, "media_source.url", "image_url")
}

// dropDuplicates keeps one of several equal rows, since nobody wants the same pin
// twice. Rows that differ only in their image are different pins, but after a crash
// they cannot be told apart.
func (in *input) dropDuplicates() {
	byKey, byText := map[string]int{}, map[string]int{}
	in.rows = slices.DeleteFunc(in.rows, func(r row) bool {
		if first, twice := byKey[r.key()]; twice {
			in.notes = append(in.notes, fmt.Sprintf("%s, row %d is the same as row %d: it is published once", in.file, r.number, first))
			return true
		}
		byKey[r.key()] = r.number
		text := r
		text.pin.MediaSource = pinterest.MediaSource{}
		if first, twice := byText[text.key()]; twice {
			in.notes = append(in.notes, fmt.Sprintf(
				"%s, row %d differs from row %d in its image alone: if this program crashes between the two, it may take one for the other",
				in.file, r.number, first))
		} else {
			byText[text.key()] = r.number
		}
		return false
	})
}
