// Package pinteresttest is a fake of the Pinterest v5 API for tests. It is a real
// HTTP server on the loopback interface, or a transport in memory. It keeps
// accounts, boards, sections and pins in memory and behaves like the API: it
// answers in the API's format and with its rate-limit headers, refuses requests
// with the same status and code, and enforces the API's quotas. Tests can inject
// the faults of the real API. Every request is logged, so a test can check what a
// client did, and not only what it returned.
//
//	clock := pinteresttest.NewClock(time.Date(2026, 7, 9, 9, 30, 0, 0, time.UTC))
//	srv := pinteresttest.NewServer(pinteresttest.WithClock(clock))
//	defer srv.Close()
//
//	alice := srv.AddAccount("alice")
//	board := srv.AddBoard(alice, "Kitchens")
//	srv.Inject(
//		pinteresttest.Throttled(0).On("pins/create"),
//		pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit(),
//	)
//
//	publish(srv.URL, alice.AccessToken, clock, board.ID) // the code under test
//
//	if n := len(srv.Pins(board.ID)); n != 1 || srv.Duplicates() != nil {
//		t.Errorf("%d pins after %d requests, want 1", n, srv.Count("pins/create"))
//	}
//
// # What it serves
//
// Pins (create, list, get, update, delete, save), boards (create, list, get,
// update, delete, list_pins), board sections (create, list, update, delete,
// list_pins), user_account/get, oauth/token with all of its grants,
// oauth/conversion_token and token/revoke. Operations are named, here and in
// [Fault] and [Request], by the ids of the official API description, such as
// "pins/create". Except for the authorize page, any other path is a 404.
//
// # OAuth
//
// [Server.AuthorizeURL] is the page on which a person chooses one of the server's
// accounts and gives the app access; [Server.Authorize], [Server.Decline] and
// [Server.FailLogin] do it without a browser. Register redirect URIs with [WithRedirectURIs] or
// [Server.AddRedirectURI]. [Server.RevokeAccount], [Server.ExpireToken],
// [Server.ExpireAllTokens] and [Server.SetScopes] do what owners and Pinterest do
// to tokens later. [Server.Reuses] is empty if the client has refreshed each token
// once. [Server.CountTokenCalls] returns how many token requests it made.
//
// # Quotas
//
// Requests are counted in fixed windows, for each account and, with
// [WithAppQuota], for the whole app. [Server.CountThrottled] is zero if the client
// has stayed below them. [Server.Quota] returns the state of one, and
// [Server.Spend] uses it up like another process.
//
// # Time
//
// Everything that depends on time, from created_at to the quotas' windows, uses the
// server's [Clock]. If the client under test uses the same clock, waiting takes no
// time. In a bubble of testing/synctest use [NewMemoryServer], which needs neither a
// socket nor a clock of its own.
//
// # Faults
//
// A [Fault] applies before a request takes effect or after it. The latter is harder
// for a client: with [Fault.AfterTheCommit] the pin exists although the client got
// a 500 or a broken connection. With [Server.SetListLag] the pin also appears in
// lists only some time later.
//
// [Fault.On] takes the whole id of an operation, as in the official description:
// "boards/list_pins", not "list_pins" or a path. [ServerError] takes any status, but
// two kinds of 401 are better made by the server itself. [Server.ExpireToken] expires
// an access token, so that a refresh works. [Server.RevokeAccount] disconnects the
// account, so that a refresh is refused.
//
// A create ends uncertain after two faults: its answer is lost, and the list in which
// the client looks for the result cannot be read.
//
//	srv.Inject(
//		pinteresttest.ConnectionReset().On("pins/create").AfterTheCommit(),
//		pinteresttest.ServerError(503).On("boards/list_pins").Repeat(pinteresttest.Forever),
//	)
//
// # What it does not imitate
//
//   - Media: uploads (media/create) are not served, any numeric media_id is a
//     video, image URLs are not loaded, and data in base64 are not decoded.
//   - Secret boards and sharing: the *_secret scopes protect nothing, and boards
//     have no collaborators.
//   - Access levels: pins/update is open to every app although the API restricts
//     it, ad_account_id changes nothing, and tokens of client credentials work for
//     every operation.
//   - What is not known about the real OAuth: whether it enforces PKCE (here it
//     does, see [WithoutPKCE]), how long a code is valid (10 minutes), what the
//     second use of a code does to the tokens of the first (nothing), and how the
//     page reports a wrong request (400, without a redirect).
//   - The texts of messages that are not known. Match on status and code.
//   - HTTP/2 and TLS: it uses HTTP/1.1 without encryption.
package pinteresttest
