package pinterest

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
)

// userText is what a class means to the person who made the pin: what happened,
// and what to do where the request has to be changed.
type userText struct{ what, fix string }

// userTexts speaks of no status, operation, class or id.
var userTexts = [...]userText{
	ClassNone:             {"Nothing went wrong.", "There is nothing to change."},
	ClassInvalid:          {"Pinterest does not accept this as it is.", "Please check what you entered and try again."},
	ClassUnauthenticated:  {"The connection to the Pinterest account does not work.", "Please connect the Pinterest account again."},
	ClassMissingScope:     {"The connection to the Pinterest account does not include the permission for this.", "Please connect the account again and allow everything it asks for."},
	ClassForbidden:        {"Pinterest does not let this account do this.", "Please choose another board or another account."},
	ClassTrialAccess:      {"Pinterest has not yet approved this app for publishing.", "Please tell the people who run this app."},
	ClassNotFound:         {"This is no longer on Pinterest, or the account cannot see it.", "Please choose another pin or board."},
	ClassConflict:         {"This does not fit with what is already on Pinterest, for example because a name is taken.", "Please change the name and try again."},
	ClassPayment:          {"Pinterest asks for a payment before this is possible.", "Please check the billing settings of the Pinterest account."},
	ClassPrecondition:     {"Something that Pinterest asks for before this is still to be done.", "Please check the settings of the Pinterest account and try again."},
	ClassTooLarge:         {"This is more than Pinterest takes at once.", "Please use a smaller image or a shorter text."},
	ClassNotImplemented:   {"Pinterest does not offer this.", "Please do it on Pinterest itself, or in another way."},
	ClassMediaUnreachable: {"Pinterest could not load the image from its address.", "Please check that anyone can open the image, or use another one."},
	ClassThrottled:        {"Pinterest is limiting requests for this account at the moment.", "Please try again later."},
	ClassBlocked:          {"Pinterest has stopped this account from publishing for some hours, to protect against spam.", "Please publish less at once, and try again later."},
	ClassBlockedLink:      {"Pinterest does not accept the link of this pin.", "Please use another link."},
	ClassServer:           {"Pinterest has a problem at the moment.", "Please try again later."},
	ClassUnavailable:      {"Pinterest cannot be reached at the moment.", "Please try again later."},
	ClassTransport:        {"The connection to Pinterest failed.", "Please try again later."},
	ClassResponse:         {"Pinterest sent an answer that cannot be used.", "Please try again later."},
	ClassCanceled:         {"This was stopped before it was finished.", "Please try again."},
	ClassLedger:           {"This app could not record its work.", "Please tell the people who run this app."},
	ClassTokenStore:       {"This app could not read or save its connection to the Pinterest account.", "Please tell the people who run this app."},
	ClassUnknown:          {"Something unexpected went wrong with Pinterest.", "Please check what you entered and try again."},
}

// UserMessage describes the failure for the person who made the pin, not for the
// developer: in plain English, what happened and what they can do. It contains
// nothing internal, such as a status, an id or a URL.
//
// With [DispositionPark] it says that the call will be tried again later, as a
// program does that obeys the disposition.
func (e *Error) UserMessage() string {
	if e.Disposition == DispositionUncertain {
		return e.userUncertain()
	}
	text := userTexts[ClassUnknown]
	if int(e.Class) < len(userTexts) {
		text = userTexts[e.Class]
	}
	connecting := e.Operation == opAuthorize
	switch {
	case connecting && e.Class != ClassTokenStore:
		text.what = "The Pinterest account was not connected."
	case !connecting && errors.Is(e, ErrOtherUser):
		text.what = "Another Pinterest account is connected now."
	}
	switch e.Disposition {
	case DispositionFix:
		if fields := userFields(e.Fields); e.Class == ClassInvalid && fields != "" {
			return "Please correct this and try again: " + fields + "."
		}
		return text.what + " " + text.fix
	case DispositionReauthorize:
		return text.what + " Please connect the Pinterest account again."
	case DispositionPark:
		if connecting { // which takes a person
			return text.what + " Please try again later."
		}
		return text.what + " It will be tried again automatically later."
	case DispositionReview:
		return text.what + " Please tell the people who run this app."
	case DispositionNone, DispositionUncertain:
	}
	return text.what
}

// userUncertain says what may have happened, by what was to be made.
func (e *Error) userUncertain() string {
	switch resource, _, _ := strings.Cut(e.Operation, "/"); resource {
	case "pins", "":
		return "The pin may have been published, although Pinterest did not confirm it. Please do not publish it again before this was checked."
	case "boards":
		return "The board may have been made, although Pinterest did not confirm it. Please do not make it again before this was checked."
	case "board_sections":
		return "The section may have been made, although Pinterest did not confirm it. Please do not make it again before this was checked."
	}
	return "This may have been done, although Pinterest did not confirm it. Please do not do it again before this was checked."
}

// userFieldNames are fields of the API by the words that a person knows. Others
// are not shown: they are for the developer.
var userFieldNames = map[string]string{
	"title": "title", "description": "description", "link": "link", "alt_text": "alternative text", "note": "note",
	"dominant_color": "color", "name": "name", "privacy": "visibility",
	"board": "board", "board_id": "board", "section": "section", "section_id": "section", "board_section_id": "section",
	"pin": "pin", "pin_id": "pin", "parent_pin_id": "pin", "ad_account_id": "advertising account", "sponsor_id": "sponsor",
	"image": "image", "image_url": "image", "media": "image", "media_source": "image", "media_id": "video", "video": "video",
	"cover_image_url": "cover image", "cover_image_data": "cover image", "cover_image_content_type": "cover image",
	"cover_image_key_frame_time": "cover image", "carousel_slots": "images",
}

// userMediaNames are fields of a media source.
var userMediaNames = map[string]string{
	"url": "image", "data": "image", "content_type": "image", "source_type": "image", "items": "images",
}

var (
	reFieldIndex = regexp.MustCompile(`\[\d+\]`)
	reFieldItem  = regexp.MustCompile(`\bitems\[(\d{1,3})\]\.`)
)

// userField returns the name of a field in words that a person knows, such as
// "the title", "" where there are none.
func userField(field string) string {
	path := strings.Split(reFieldIndex.ReplaceAllString(strings.ToLower(field), ""), ".")
	last := path[len(path)-1]
	name := userFieldNames[last]
	if name == "" && strings.HasPrefix(path[0], "media_source") {
		name = userMediaNames[last]
	}
	if item := reFieldItem.FindStringSubmatch(field); item != nil && name != "" {
		index, _ := strconv.Atoi(item[1]) // digits have been matched
		number := strconv.Itoa(index + 1)
		if name == "image" {
			return name + " " + number
		}
		return "the " + name + " of image " + number
	}
	if name == "" {
		return ""
	}
	return "the " + name
}

// maxUserFields is how many wrong fields a person is told of at once.
const maxUserFields = 5

// userFields says what is wrong with the fields that have a name, "" where none has.
func userFields(fields []FieldError) string {
	var problems []string
	known := map[string]bool{}
	for _, f := range fields {
		name := userField(f.Field)
		if name == "" || known[name] {
			continue
		}
		known[name] = true
		if len(problems) == maxUserFields {
			return strings.Join(problems, ", ") + ", and more"
		}
		problems = append(problems, name+" "+userProblem(f))
	}
	return strings.Join(problems, ", ")
}

// What is wrong with a field, by this library's words and, as far as they are
// alike, by those of the API.
var (
	reProblemLength  = regexp.MustCompile(`at most (\d+) characters, has (\d+)`)
	reProblemRange   = regexp.MustCompile(`from (\d+) to (\d+)\b( characters| digits)?`)
	reProblemLimit   = regexp.MustCompile(`(?i)\b(?:at most|maximum(?: length)?(?: of| is)?|max(?: length)?|no more than|up to|longer than|exceeds?|less than or equal to)[: ]+(\d{1,6})\b(?: (characters|images|digits))?`)
	reProblemMissing = regexp.MustCompile(`(?i)\b(?:required|missing|(?:must|can)(?: ?not|'t) be (?:empty|blank|null))\b`)
	reProblemNoValue = regexp.MustCompile(`^must be (?:the numeric id|an absolute URL)`)
	reProblemURL     = regexp.MustCompile(`(?i)\burl\b`)
)

// userProblem says what is wrong with a field, to stand after its name.
func userProblem(f FieldError) string {
	p := f.Problem
	if m := reProblemLength.FindStringSubmatch(p); m != nil {
		return "is too long (" + m[2] + " characters, at most " + m[1] + " are allowed)"
	}
	if m := reProblemRange.FindStringSubmatch(p); m != nil {
		return "must be from " + m[1] + " to " + m[2] + m[3]
	}
	if m := reProblemLimit.FindStringSubmatch(p); m != nil {
		unit := m[2]
		if unit != "" {
			unit = " " + unit
		}
		return "is too long or too large (at most " + m[1] + unit + " are allowed)"
	}
	switch {
	case reProblemMissing.MatchString(p), f.Value == "" && reProblemNoValue.MatchString(p):
		return "is missing"
	case reProblemURL.MatchString(p):
		return "must be the full web address"
	}
	return "is not accepted"
}
