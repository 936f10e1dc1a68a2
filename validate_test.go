package pinterest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// A wrong request is reported with every field that is wrong, and never sent.
func TestInvalidRequestsAreNotSent(t *testing.T) {
	srv := pinteresttest.NewServer()
	t.Cleanup(srv.Close)
	acct := srv.AddAccount("alice")
	c, err := pinterest.New(pinterest.WithAccessToken(acct.AccessToken), pinterest.WithBaseURL(srv.URL))
	require.NoError(t, err)

	image := pinterest.ImageURL("https://shop.example/a.jpg")
	pin := func(change func(*pinterest.PinCreate)) func(context.Context) error {
		p := pinterest.PinCreate{BoardID: "12", Title: "t", MediaSource: image}
		change(&p)
		return func(ctx context.Context) error { _, err := c.Pins.Create(ctx, p); return err }
	}
	media := func(m pinterest.MediaSource) func(context.Context) error {
		return pin(func(p *pinterest.PinCreate) { p.MediaSource = m })
	}
	update := func(u pinterest.PinUpdate) func(context.Context) error {
		return func(ctx context.Context) error { _, err := c.Pins.Update(ctx, "12", u); return err }
	}
	item := pinterest.MediaItem{URL: "https://shop.example/a.jpg"}
	base64Item := pinterest.Base64Item(pinterest.PNG, []byte("png"))
	badItem := pinterest.MediaItem{ContentType: "image/webp", Data: "a b"}
	wide := strings.Repeat("😀", 101)
	for name, tt := range map[string]struct {
		call func(context.Context) error
		want []string
	}{
		"board's name":         {pin(func(p *pinterest.PinCreate) { p.BoardID = "Summer" }), []string{`board_id must be the numeric id, not the board's name (got "Summer")`}},
		"no board":             {pin(func(p *pinterest.PinCreate) { p.BoardID = "" }), []string{"board_id must be the numeric id, not the board's name"}},
		"section's name":       {pin(func(p *pinterest.PinCreate) { p.BoardSectionID = "x" }), []string{`board_section_id must be the numeric id, not the section's name (got "x")`}},
		"title":                {pin(func(p *pinterest.PinCreate) { p.Title = wide }), []string{`title must have at most 100 characters, has 101 (got "` + strings.Repeat("😀", 60) + `...")`}},
		"description":          {pin(func(p *pinterest.PinCreate) { p.Description = strings.Repeat("d", 801) }), []string{`description must have at most 800 characters, has 801 (got "` + strings.Repeat("d", 60) + `...")`}},
		"alt text":             {pin(func(p *pinterest.PinCreate) { p.AltText = strings.Repeat("a", 501) }), []string{`alt_text must have at most 500 characters, has 501 (got "` + strings.Repeat("a", 60) + `...")`}},
		"not UTF-8":            {pin(func(p *pinterest.PinCreate) { p.Title = "a\xff" }), []string{`title must be valid UTF-8 (got "a?")`}},
		"link":                 {pin(func(p *pinterest.PinCreate) { p.Link = "shop.example/p" }), []string{`link must be an absolute URL, such as https://shop.example/p/1 (got "shop.example/p")`}},
		"link's scheme":        {pin(func(p *pinterest.PinCreate) { p.Link = "ftp://shop.example/p" }), []string{`link must be an http or https URL (got "ftp://shop.example/p")`}},
		"color":                {pin(func(p *pinterest.PinCreate) { p.DominantColor = "red" }), []string{`dominant_color must be # and six hexadecimal digits (got "red")`}},
		"marker":               {pin(func(p *pinterest.PinCreate) { p.Marker, p.Link = "job", "https://x.example" }), []string{`marker must have the form name=value (got "job")`}},
		"a marker that may go": {pin(func(p *pinterest.PinCreate) { p.Marker, p.Link = "utm_content=42", "https://x.example" }), []string{`marker must not be a tracking parameter, which Pinterest may remove (got "utm_content=42")`}},
		"marker, no link":      {pin(func(p *pinterest.PinCreate) { p.Marker = "job=1" }), []string{`marker needs a link to stand in (got "job=1")`}},
		"no media":             {media(pinterest.MediaSource{}), []string{"media_source is required, such as ImageURL(...)"}},
		"image URL":            {media(pinterest.ImageURL("a.jpg")), []string{`media_source.url must be an absolute URL, such as https://shop.example/p/1 (got "a.jpg")`}},
		"signed URL": {
			media(pinterest.ImageURL("ftp://s3.example/k?X-Amz-Signature=0a1b2c3d")),
			[]string{`media_source.url must be an http or https URL (got "ftp://s3.example/k?...")`},
		},
		"WebP": {media(pinterest.ImageBase64("image/webp", []byte("x"))), []string{`media_source.content_type must be "image/jpeg" or "image/png" (got "image/webp")`}},
		"no data": {
			media(pinterest.ImageBase64(pinterest.PNG, nil)),
			[]string{"media_source.data must be base64 of the standard alphabet, and not empty"},
		},
		"one image":   {media(pinterest.ImageURLs(item)), []string{`media_source.items must have from 2 to 5 images (got "1")`}},
		"six images":  {media(pinterest.ImageURLs(item, item, item, item, item, item)), []string{`media_source.items must have from 2 to 5 images (got "6")`}},
		"cover index": {media(pinterest.MediaSource{SourceType: pinterest.SourceImageURLs, Items: []pinterest.MediaItem{item, item}, Index: 2}), []string{`media_source.index must be from 0 to 1 (got "2")`}},
		"an item": {
			media(pinterest.ImagesBase64(base64Item, badItem)),
			[]string{
				`media_source.items[1].content_type must be "image/jpeg" or "image/png" (got "image/webp")`,
				`media_source.items[1].data must be base64 of the standard alphabet, and not empty (got "a b")`,
			},
		},
		"video, no cover": {media(pinterest.VideoID("5", nil)), []string{"media_source.cover_image_url or another cover is required for a video (CoverURL, CoverImage or CoverFrame)"}},
		"video, frame":    {media(pinterest.VideoID("5", pinterest.CoverFrame(-1))), []string{`media_source.cover_image_key_frame_time must not be negative (seconds) (got "-1")`}},
		"video's id":      {media(pinterest.VideoID("v", pinterest.CoverURL("https://x.example/c.jpg"))), []string{`media_source.media_id must be the numeric id (got "v")`}},
		"pin_url":         {media(pinterest.PinURL(true)), []string{"media_source of type pin_url needs a parent_pin_id or a link"}},
		"unknown source": {
			media(pinterest.MediaSource{SourceType: "video_url"}),
			[]string{`media_source.source_type must be "image_url" or "image_base64" or "multiple_image_urls" or "multiple_image_base64" or "video_id" or "pin_url" (got "video_url")`},
		},
		"all at once": {
			pin(func(p *pinterest.PinCreate) { *p = pinterest.PinCreate{BoardID: "x", ParentPinID: "y"} }),
			[]string{
				`board_id must be the numeric id, not the board's name (got "x")`,
				`parent_pin_id must be the numeric id, not the pin's URL (got "y")`,
			},
		},
		"empty update": {update(pinterest.PinUpdate{}), []string{"the update changes nothing: set a field"}},
		"null board":   {update(pinterest.PinUpdate{BoardID: pinterest.Null[string]()}), []string{"board_id must be the numeric id, not the board's name"}},
		"null slots":   {update(pinterest.PinUpdate{CarouselSlots: pinterest.Null[[]pinterest.CarouselSlot]()}), []string{`carousel_slots must not be null (got "null")`}},
		"update title": {update(pinterest.PinUpdate{Title: pinterest.Set(wide)}), []string{`title must have at most 100 characters, has 101 (got "` + strings.Repeat("😀", 60) + `...")`}},
		"pin's URL": {
			func(ctx context.Context) error { _, err := c.Pins.Get(ctx, "https://pin.it/x"); return err },
			[]string{`pin_id must be the numeric id, not the pin's URL (got "https://pin.it/x")`},
		},
		"path tricks": {
			func(ctx context.Context) error { return c.Boards.Delete(ctx, "1/../2") },
			[]string{`board_id must be the numeric id, not the board's name (got "1/../2")`},
		},
		"save": {func(ctx context.Context) error {
			_, err := c.Pins.Save(ctx, "1", pinterest.PinSave{BoardID: "b"})
			return err
		}, []string{`board_id must be the numeric id, not the board's name (got "b")`}},
		"board": {func(ctx context.Context) error {
			_, err := c.Boards.Create(ctx, pinterest.BoardCreate{Name: " ", Privacy: "HIDDEN"})
			return err
		}, []string{`name is required (got " ")`, `privacy must be "PUBLIC" or "PROTECTED" or "SECRET" (got "HIDDEN")`}},
		"null name": {func(ctx context.Context) error {
			_, err := c.Boards.Update(ctx, "1", pinterest.BoardUpdate{Name: pinterest.Null[string]()})
			return err
		}, []string{"name is required"}},
		"section": {func(ctx context.Context) error {
			_, err := c.Sections.Create(ctx, "1", pinterest.SectionCreate{Name: strings.Repeat("s", 181)})
			return err
		}, []string{`name must have at most 180 characters, has 181 (got "` + strings.Repeat("s", 60) + `...")`}},
		"page size": {func(ctx context.Context) error {
			_, err := c.Sections.List(ctx, "1", &pinterest.ListOptions{PageSize: 251})
			return err
		}, []string{`page_size must be from 1 to 250 (got "251")`}},
		"filter": {func(ctx context.Context) error {
			_, err := c.Pins.List(ctx, &pinterest.PinListOptions{Filter: "mine"})
			return err
		}, []string{`pin_filter must be "exclude_native" or "exclude_repins" or "has_been_promoted" (got "mine")`}},
		"ad account": {func(ctx context.Context) error { _, err := c.Pins.Get(ctx, "1", pinterest.AdAccount("me")); return err }, []string{`ad_account_id must be the numeric id (got "me")`}},
	} {
		t.Run(name, func(t *testing.T) {
			err := tt.call(t.Context())
			var e *pinterest.Error
			require.ErrorAs(t, err, &e)
			assert.ErrorIs(t, err, pinterest.ErrInvalid)
			assert.Equal(t, pinterest.DispositionFix, e.Disposition)
			var got []string
			for _, f := range e.Fields {
				got = append(got, f.Error())
			}
			assert.Equal(t, tt.want, got)
			for _, problem := range tt.want {
				assert.Contains(t, err.Error(), problem)
			}
		})
	}
	assert.Empty(t, srv.Requests(), "nothing was sent")
}

func TestLimitsCountCharacters(t *testing.T) {
	valid := pinterest.PinCreate{
		BoardID: "12", Title: strings.Repeat("😀", 100), Description: strings.Repeat("ü", 800), AltText: strings.Repeat("漢", 500),
		Link: "https://shop.example/" + strings.Repeat("p", 2048-21), MediaSource: pinterest.ImageBase64(pinterest.JPEG, []byte("jpeg")),
	}
	require.NoError(t, valid.Validate())
	for _, source := range []pinterest.MediaSource{
		pinterest.VideoID("5", pinterest.CoverFrame(0)), pinterest.VideoID("5", pinterest.CoverImage(pinterest.PNG, []byte("x"))),
		pinterest.ImageURLs(pinterest.MediaItem{URL: "https://a.example/1"}, pinterest.MediaItem{URL: "https://a.example/2"}), pinterest.PinURL(false),
	} {
		valid.MediaSource = source
		require.NoError(t, valid.Validate(), source.SourceType)
	}
}

// What Validate finds can be asked for as an error of its own.
func TestValidateFindings(t *testing.T) {
	err := pinterest.PinCreate{BoardID: "x", Title: strings.Repeat("t", 101)}.Validate()
	assert.ErrorIs(t, err, pinterest.ErrInvalid)
	var f pinterest.FieldError
	require.ErrorAs(t, err, &f)
	assert.Equal(t, "board_id", f.Field)
	assert.ErrorIs(t, f, pinterest.ErrInvalid)
}
