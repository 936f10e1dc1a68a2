package pinterest

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
)

// SourceType is the type of a media source.
type SourceType string

// The six media sources.
const (
	SourceImageURL     SourceType = "image_url"
	SourceImageBase64  SourceType = "image_base64"
	SourceImageURLs    SourceType = "multiple_image_urls"
	SourceImagesBase64 SourceType = "multiple_image_base64"
	SourceVideoID      SourceType = "video_id"
	SourcePinURL       SourceType = "pin_url"
)

// The content types of images. The API refuses others, WebP among them.
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
)

// MediaSource is the source of the media of a new pin. Make it with
// [ImageURL], [ImageBase64], [ImageURLs], [ImagesBase64], [VideoID] or [PinURL].
// It is a plain value, so that a queue can store it as JSON.
type MediaSource struct {
	SourceType SourceType `json:"source_type"`

	URL         string `json:"url,omitzero"`          // image_url
	ContentType string `json:"content_type,omitzero"` // image_base64: JPEG or PNG
	Data        string `json:"data,omitzero"`         // image_base64: standard base64

	Items []MediaItem `json:"items,omitzero"` // multiple_…: 2 to 5 images
	Index int         `json:"index,omitzero"` // multiple_…: which item is the cover, from 0

	MediaID                string `json:"media_id,omitzero"`                   // video_id: numeric id of the uploaded video
	CoverImageURL          string `json:"cover_image_url,omitzero"`            // video_id: the cover, one of three ways
	CoverImageContentType  string `json:"cover_image_content_type,omitzero"`   // with CoverImageData
	CoverImageData         string `json:"cover_image_data,omitzero"`           // standard base64
	CoverImageKeyFrameTime *int   `json:"cover_image_key_frame_time,omitzero"` // seconds into the video

	IsAffiliateLink bool  `json:"is_affiliate_link,omitzero"` // pin_url
	IsStandard      *bool `json:"is_standard,omitzero"`       // beta; the API's default is true
}

// MediaItem is one image of a carousel.
type MediaItem struct {
	Title       string `json:"title,omitzero"`
	Description string `json:"description,omitzero"`
	Link        string `json:"link,omitzero"`
	URL         string `json:"url,omitzero"`          // multiple_image_urls
	ContentType string `json:"content_type,omitzero"` // multiple_image_base64: JPEG or PNG
	Data        string `json:"data,omitzero"`         // multiple_image_base64: standard base64
}

// ImageURL uses the image at a URL that Pinterest can fetch (JPEG or PNG).
func ImageURL(u string) MediaSource { return MediaSource{SourceType: SourceImageURL, URL: u} }

// ImageBase64 sends the image in the request. contentType is [JPEG] or [PNG].
func ImageBase64(contentType string, image []byte) MediaSource {
	return MediaSource{SourceType: SourceImageBase64, ContentType: contentType, Data: base64.StdEncoding.EncodeToString(image)}
}

// ImageURLs makes a carousel of 2 to 5 images, each with its URL.
func ImageURLs(items ...MediaItem) MediaSource {
	return MediaSource{SourceType: SourceImageURLs, Items: items}
}

// ImagesBase64 makes a carousel of 2 to 5 images that the request contains, each with
// its ContentType and Data; see [Base64Item].
func ImagesBase64(items ...MediaItem) MediaSource {
	return MediaSource{SourceType: SourceImagesBase64, Items: items}
}

// Base64Item is an item for [ImagesBase64].
func Base64Item(contentType string, image []byte) MediaItem {
	return MediaItem{ContentType: contentType, Data: base64.StdEncoding.EncodeToString(image)}
}

// Cover is the still image of a video pin, which the API requires.
type Cover func(*MediaSource)

// CoverURL uses the image at a URL as the cover.
func CoverURL(u string) Cover { return func(m *MediaSource) { m.CoverImageURL = u } }

// CoverImage sends the cover in the request. contentType is [JPEG] or [PNG].
func CoverImage(contentType string, image []byte) Cover {
	return func(m *MediaSource) {
		m.CoverImageContentType, m.CoverImageData = contentType, base64.StdEncoding.EncodeToString(image)
	}
}

// CoverFrame takes the cover from the video, this many seconds into it; past
// its end the last frame is taken.
func CoverFrame(seconds int) Cover {
	return func(m *MediaSource) { m.CoverImageKeyFrameTime = &seconds }
}

// VideoID uses an uploaded video by its media id.
func VideoID(mediaID string, cover Cover) MediaSource {
	m := MediaSource{SourceType: SourceVideoID, MediaID: mediaID}
	if cover != nil {
		cover(&m)
	}
	return m
}

// PinURL makes a product pin from PinCreate.ParentPinID or Link (beta, for some
// apps only).
func PinURL(affiliate bool) MediaSource {
	return MediaSource{SourceType: SourcePinURL, IsAffiliateLink: affiliate}
}

const (
	minItems = 2
	maxItems = 5
)

var reBase64 = regexp.MustCompile(`^[a-zA-Z0-9+/=]+$`)

// check reports what the API would refuse in the source.
func (m MediaSource) check(c *Check) {
	const field = "media_source"
	switch m.SourceType {
	case SourceImageURL:
		c.Link(field+".url", m.URL, maxLink)
	case SourceImageBase64:
		checkImage(c, field, "content_type", m.ContentType, "data", m.Data)
	case SourceImageURLs, SourceImagesBase64:
		m.checkItems(c, field)
	case SourceVideoID:
		c.ID(field+".media_id", m.MediaID)
		m.checkCover(c, field)
	case SourcePinURL:
	default:
		OneOf(c, field+".source_type", m.SourceType, SourceImageURL, SourceImageBase64, SourceImageURLs, SourceImagesBase64, SourceVideoID, SourcePinURL)
	}
}

func (m MediaSource) checkItems(c *Check, field string) {
	if n := len(m.Items); n < minItems || n > maxItems {
		c.Add(field+".items", strconv.Itoa(n), fmt.Sprintf("must have from %d to %d images", minItems, maxItems))
	}
	if m.Index < 0 || m.Index >= max(1, len(m.Items)) {
		c.Add(field+".index", strconv.Itoa(m.Index), fmt.Sprintf("must be from 0 to %d", max(0, len(m.Items)-1)))
	}
	for i, item := range m.Items {
		at := fmt.Sprintf("%s.items[%d]", field, i)
		if m.SourceType == SourceImageURLs {
			c.Link(at+".url", item.URL, maxLink)
		} else {
			checkImage(c, at, "content_type", item.ContentType, "data", item.Data)
		}
		c.Length(at+".title", item.Title, maxTitle)
		c.Length(at+".description", item.Description, maxDescription)
		c.OptionalLink(at+".link", item.Link, maxLink)
	}
}

func (m MediaSource) checkCover(c *Check, field string) {
	switch {
	case m.CoverImageURL != "":
		c.Link(field+".cover_image_url", m.CoverImageURL, maxLink)
	case m.CoverImageData != "" || m.CoverImageContentType != "":
		checkImage(c, field, "cover_image_content_type", m.CoverImageContentType, "cover_image_data", m.CoverImageData)
	case m.CoverImageKeyFrameTime != nil:
		if t := *m.CoverImageKeyFrameTime; t < 0 {
			c.Add(field+".cover_image_key_frame_time", strconv.Itoa(t), "must not be negative (seconds)")
		}
	default:
		c.Add(field+".cover_image_url", "", "or another cover is required for a video (CoverURL, CoverImage or CoverFrame)")
	}
}

func checkImage(c *Check, field, typeName, contentType, dataName, data string) {
	OneOf(c, field+"."+typeName, contentType, JPEG, PNG)
	if !reBase64.MatchString(data) {
		c.Add(field+"."+dataName, data, "must be base64 of the standard alphabet, and not empty")
	}
}

// MediaType is the kind of a pin's media. Values without a constant are kept as they
// are.
type MediaType string

// The kinds of media.
const (
	MediaImage          MediaType = "image"
	MediaVideo          MediaType = "video"
	MediaMultipleImages MediaType = "multiple_images"
	MediaMultipleVideos MediaType = "multiple_videos"
	MediaMultipleMixed  MediaType = "multiple_mixed" // images and videos
)

// PinMedia is the media of a pin.
type PinMedia struct {
	MediaType     MediaType        `json:"media_type"`
	Images        map[string]Image `json:"images"` // by size: 150x150, 400x300, 600x, 1200x
	CoverImageURL string           `json:"cover_image_url"`
	VideoURL      string           `json:"video_url"` // not for all apps
	Duration      *float64         `json:"duration"`  // milliseconds; nil while a video is processed
	Width         *int             `json:"width"`     // pixels
	Height        *int             `json:"height"`    // pixels
	Items         []PinMediaItem   `json:"items"`     // of a carousel
}

// PinMediaItem is one image or video of a carousel.
type PinMediaItem struct {
	ItemType      string           `json:"item_type"`
	Title         string           `json:"title"`
	Description   string           `json:"description"`
	Link          string           `json:"link"`
	Images        map[string]Image `json:"images"`
	CoverImageURL string           `json:"cover_image_url"`
	VideoURL      string           `json:"video_url"`
	Duration      *float64         `json:"duration"` // milliseconds
	Width         *int             `json:"width"`    // pixels
	Height        *int             `json:"height"`   // pixels
}

// Image is one size of an image, on Pinterest's own servers.
type Image struct {
	URL    string `json:"url"`
	Width  *int   `json:"width"`  // pixels
	Height *int   `json:"height"` // pixels
}
