package pinteresttest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// The creative types that media sources lead to.
const (
	regular  = "REGULAR"
	video    = "VIDEO"
	carousel = "CAROUSEL"
)

// A source is the media source of a pin.
type source struct {
	text         string // in one line
	creativeType string
	items        []item
	fromParent   bool // the media are those of the parent pin
}

// An item is one image of a carousel.
type item struct {
	title, description, link string
}

type imageJSON struct {
	Width  int    `json:"width"`
	Height int    `json:"height"`
	URL    string `json:"url"`
}

type imagesJSON struct {
	Square imageJSON `json:"150x150"`
	Small  imageJSON `json:"400x300"`
	Medium imageJSON `json:"600x"`
	Large  imageJSON `json:"1200x"`
}

type imageMediaJSON struct {
	MediaType string     `json:"media_type"`
	Images    imagesJSON `json:"images"`
}

type videoMediaJSON struct {
	MediaType     string     `json:"media_type"`
	Images        imagesJSON `json:"images"`
	CoverImageURL string     `json:"cover_image_url"`
	VideoURL      *string    `json:"video_url"`
	Duration      float64    `json:"duration"`
	Width         int        `json:"width"`
	Height        int        `json:"height"`
}

type carouselMediaJSON struct {
	MediaType string             `json:"media_type"`
	Items     []carouselItemJSON `json:"items"`
}

type carouselItemJSON struct {
	ItemType    string     `json:"item_type"`
	Title       *string    `json:"title"`
	Description *string    `json:"description"`
	Link        *string    `json:"link"`
	Images      imagesJSON `json:"images"`
}

// images returns the four sizes in which the API offers the image at a path.
func images(path string) imagesJSON {
	const host = "https://i.pinimg.com/"
	return imagesJSON{
		Square: imageJSON{150, 150, host + "150x150/" + path},
		Small:  imageJSON{400, 300, host + "400x300/" + path},
		Medium: imageJSON{600, 900, host + "600x/" + path},
		Large:  imageJSON{1200, 1800, host + "1200x/" + path},
	}
}

// media returns the pin's media as the API describes them.
func (p *pin) media() any {
	switch p.CreativeType {
	case video:
		return videoMediaJSON{
			MediaType:     "video",
			Images:        images(p.image),
			CoverImageURL: "https://i.pinimg.com/1200x/" + p.image,
			Duration:      15_000,
			Width:         720,
			Height:        1280,
		}
	case carousel:
		media := carouselMediaJSON{MediaType: "multiple_images", Items: []carouselItemJSON{}}
		for i, it := range p.items {
			media.Items = append(media.Items, carouselItemJSON{
				ItemType:    "image",
				Title:       nullable(it.title),
				Description: nullable(it.description),
				Link:        nullable(it.link),
				Images:      images(imagePath(fmt.Sprint(p.image, i))),
			})
		}
		return media
	default:
		return imageMediaJSON{MediaType: "image", Images: images(p.image)}
	}
}

// parseMedia reads the media source of a new pin.
func parseMedia(in *body) source {
	given := in.object("media_source")
	if !given.present && in.id("parent_pin_id").present {
		return source{fromParent: true}
	}
	in.require("media_source", given)
	if in.err != nil {
		return source{}
	}
	src := given.value
	kind := src.choice("source_type", "image_url", "image_base64", "multiple_image_urls",
		"multiple_image_base64", "video_id", "pin_url")
	src.require("source_type", kind)
	src.flag("is_standard")

	var media source
	switch kind.value {
	case "image_url", "image_base64":
		media = source{text: parseImage(src, kind.value == "image_url"), creativeType: regular}
	case "multiple_image_urls", "multiple_image_base64":
		media = parseImages(src, kind.value == "multiple_image_urls")
	case "video_id":
		media = source{text: parseVideo(src), creativeType: video}
	case "pin_url":
		src.flag("is_affiliate_link")
		media = source{fromParent: true}
		in.require("parent_pin_id", in.id("parent_pin_id"))
	}
	media.text = kind.value + " " + media.text
	if src.err != nil {
		in.fail(src.err)
	}
	return media
}

// parseImage reads an image given by its URL or by its data.
func parseImage(src *body, byURL bool) string {
	if byURL {
		url := src.text("url", 0)
		src.require("url", url)
		if url.given() && url.value == "" {
			src.fail(invalid("Invalid request: 'url' is too short"))
		}
		return url.value
	}
	contentType := src.choice("content_type", "image/jpeg", "image/png")
	src.require("content_type", contentType)
	data := src.text("data", 0)
	src.require("data", data)
	if data.given() && !isBase64(data.value) {
		src.fail(invalid("Invalid request: 'data' %s does not match '^[a-zA-Z0-9+/=]+$'", quoted([]byte(data.value))))
	}
	return contentType.value + " " + digest(data.value)
}

// parseImages reads the images of a carousel.
func parseImages(src *body, byURL bool) source {
	const fewest, most = 2, 5
	src.count("index")
	list := src.objects("items")
	src.require("items", list)
	if n := len(list.value); list.given() && (n < fewest || n > most) {
		src.fail(invalid("Invalid request: 'items' has %d items, not minItems=%d to maxItems=%d", n, fewest, most))
	}
	media := source{creativeType: carousel}
	var texts []string
	for _, in := range list.value {
		texts = append(texts, parseImage(in, byURL))
		media.items = append(media.items, parseItem(in))
		if in.err != nil {
			src.fail(in.err)
		}
	}
	media.text = strings.Join(texts, " ")
	return media
}

func parseItem(in *body) item {
	var it item
	in.text("title", 0).set(&it.title)
	in.text("description", 0).set(&it.description)
	in.text("link", 0).set(&it.link)
	return it
}

// parseVideo reads an uploaded video. Any numeric id is valid here. The API requires
// a cover, in one of three forms.
func parseVideo(src *body) string {
	mediaID := src.id("media_id")
	src.require("media_id", mediaID)
	url := src.text("cover_image_url", 0)
	contentType := src.choice("cover_image_content_type", "image/jpeg", "image/png")
	data := src.text("cover_image_data", 0)
	frame := src.count("cover_image_key_frame_time")

	cover := ""
	switch {
	case url.given():
		cover = url.value
	case contentType.given() && data.given():
		cover = contentType.value + " " + digest(data.value)
	case frame.given():
		cover = fmt.Sprint("frame ", frame.value)
	default:
		src.fail(invalid("Invalid request: a video needs cover_image_url or cover_image_content_type " +
			"with cover_image_data or cover_image_key_frame_time"))
	}
	return mediaID.value + " " + cover
}

// parseSlots reads an update's changes to a carousel's images; nil for none.
func parseSlots(in *body) []item {
	const most = 5
	list := in.objects("carousel_slots")
	if len(list.value) > most {
		in.fail(invalid("Invalid request: 'carousel_slots' has %d items, maxItems=%d", len(list.value), most))
	}
	var slots []item
	for _, slot := range list.value {
		slots = append(slots, parseItem(slot))
		if slot.err != nil {
			in.fail(slot.err)
		}
	}
	return slots
}

// setSlots changes the texts of a carousel's images, one for each slot.
func (p *pin) setSlots(slots []item) {
	p.items = slices.Clone(p.items)
	copy(p.items, slots)
}

func isBase64(s string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '+', r == '/', r == '=':
		default:
			return false
		}
	}
	return s != ""
}

// digest replaces data that is too long to keep.
func digest(data string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(data)))
}
