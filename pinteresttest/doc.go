// Package pinteresttest is a fake of the Pinterest v5 API for tests: a real HTTP
// server on the loopback interface, or a transport in memory, that keeps accounts, boards, sections and
// pins in memory and behaves like the API towards a client. It answers with the
// API's shapes and its rate-limit headers, refuses what the API refuses with the
// same status and code, holds clients to the API's quotas, and goes wrong in the
// ways the API does when a test tells it to. It logs every request, so
// that a test can say what a client did and not only what it returned.
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
// "pins/create". Any other path is a 404, but for the authorize page.
//
// # OAuth
//
// [Server.AuthorizeURL] is the page on which a person chooses one of the server's
// accounts and gives the app access; [Server.Authorize] and [Server.Decline] do it
// without a browser. Register redirect URIs with [WithRedirectURIs] or
// [Server.AddRedirectURI]. [Server.RevokeAccount], [Server.ExpireToken],
// [Server.ExpireAllTokens] and [Server.SetScopes] do what owners and Pinterest do
// to tokens later. [Server.Reuses] is empty when a client has refreshed each token
// once, and [Server.CountTokenCalls] says how often it asked.
//
// # Quotas
//
// Requests are counted in fixed windows, for each account and, with
// [WithAppQuota], for the whole app. [Server.CountThrottled] is zero when a client
// has kept below them, [Server.Quota] tells where one stands, and [Server.Spend]
// uses it up like another process.
//
// # Time
//
// Everything that depends on time, from created_at to the windows of the quotas,
// follows the server's [Clock]. Give the client under test the same one and
// waiting takes no time. In a bubble of testing/synctest use [NewMemoryServer],
// which needs neither a socket nor a clock of its own.
//
// # Faults
//
// A [Fault] strikes before a request takes effect, or after it, which is the
// harder case for a client: with [Fault.AfterTheCommit] the pin exists although
// the client saw a 500 or a broken connection. [Server.SetListLag] adds that
// lists show it only some time later.
//
// # What it does not imitate
//
//   - Media: uploads (media/create) are not served, any numeric media_id is a
//     video, image URLs are not loaded, and data in base64 are not decoded.
//   - Secrets and sharing: the *_secret scopes guard nothing, and boards have no
//     collaborators.
//   - Access levels: pins/update is open to every app although the API restricts
//     it, ad_account_id changes nothing, and tokens of client credentials are
//     good for every operation.
//   - What is not known of the real OAuth: whether it enforces PKCE (here it does,
//     see [WithoutPKCE]), how long a code lives (10 minutes), what a code's second
//     use does to the tokens of the first (nothing), and how the page shows a
//     wrong request (400, without a redirect).
//   - The texts of messages, where the API's own are not known. Match on status
//     and code.
//   - HTTP/2 and TLS: it speaks HTTP/1.1 in the clear.
package pinteresttest
