// Package pinterest calls the Pinterest v5 API. It is made for programs that
// publish for other people, such as schedulers and agencies' tools. There, the
// calls that fail matter more than the ones that succeed. Every call ends in an
// answer that the program can act on, and nothing happens twice.
//
//	client, err := pinterest.New(pinterest.WithAccessToken(token))
//	...
//	pin, err := client.Pins.Create(ctx, pinterest.PinCreate{
//		BoardID:     "549755885175",
//		Title:       "Oak kitchen",
//		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
//	})
//
// A [Client] serves one account and any number of goroutines. An [App] serves
// many accounts and returns a client for each of them.
//
// Most programs need the types of the sections up to "Testing". The sections
// after it are for authors of operations, and of limiters, stores, ledgers and
// rules.
//
// # The path of a call
//
// Every call takes the same path, in this order:
//
//	validate -> [ pace -> authorize -> send -> read -> decode -> classify -> act ]* -> result
//	  once                          each attempt
//
// The call is validated before anything is sent, and all wrong fields are
// reported at once. Each attempt waits for its turn below the rate limits. It
// gets an access token, which is refreshed first if it is due, and which is
// checked for the scopes of the operation. The request is sent once, with a
// timeout of its own. The answer is read to its end, up to a limit. The library
// looks a failure up in the table and does what the table says. Equal creates of
// one client take this path one after another. The methods of the services take
// the same path as [Client.Do].
//
// # The table
//
// A [Failure] describes a failed attempt: its [Phase] (not sent, unanswered,
// answered), its status, Pinterest's inner code and message, and the [Kind] of
// the operation. A table of [Rule] values turns it into
//
//   - a [Class], which says what failed. Each class has an error, such as
//     [ErrThrottled], for errors.Is;
//   - an [Action], which says what the library does: fail, refresh the token once,
//     or back off and send again. There are no others;
//   - a [Disposition], which says what the caller should do when the library has
//     given up.
//
// The first row that matches decides. [DefaultRules] returns the table, the
// README shows it, and [WithRules] puts rows in front of it. [RetryPolicy] says
// how long and how often the library backs off: by default 5 attempts, and waits
// as long as the API asked for, or else 2 or 5 seconds, doubling up to 60. Some
// waits are not begun: those that do not fit the caller's deadline, and those of
// more than 60 seconds. Then the call ends at once, with the time in
// Error.RetryAt.
//
// # Errors
//
// Every failure is an *[Error]. Switch over its Disposition:
//
//   - fix: the request, the app or its scopes are wrong. The same call fails again.
//   - reauthorize: the account is disconnected. Its owner has to connect it again.
//   - park: enqueue the call again, not before RetryAt.
//   - review: a person has to look at it.
//   - uncertain: the create may have taken effect. Sending it again may make a
//     second resource. Call [PinsService.Resolve] not before RetryAt, or
//     [PinsService.CreateOnce] with the same key.
//
// [Error.UserMessage] describes the failure for the person who made the pin.
//
// # Creates
//
// An operation is a read, an idempotent write, or a create. A create makes a new
// resource each time it is sent. It is ambiguous if it may have taken effect
// without a good answer: the connection broke, or the API answered 5xx, or one of
// the two 400s that it uses for its own failures.
//
// Pinterest has no idempotency keys. So the library looks an ambiguous create up
// in the list that would contain its result. If it finds the result, it adopts it
// and returns it. Texts are compared in a canonical form, because the API rewrites
// them. If look-ups spread over [RetryPolicy].SettleTime, and one right before
// sending, show that the result is absent, the library sends the create again. If
// a later attempt fails for certain, absence is proved for at least a minute before
// the call ends with that failure. What only resembles the result, a time that
// cannot be relied on, or a list that lacks what it should have is no proof. If
// nothing can be shown, the call ends uncertain: its error has an [Uncertain]
// value, which a program can store and pass to [PinsService.Resolve] later.
//
// [PinsService.CreateOnce] records creates in a [Ledger], so that all this also
// works across crashes and processes. [PinsService.CreateAllOnce] does so for many
// pins. docs/creates.md has the details, the costs and what is not covered.
//
// # Promises
//
//   - No duplicates, no losses: a create makes at most one resource, and the caller
//     learns its id, or that it is uncertain.
//   - One refresh: however many calls and processes meet an expired token at once,
//     one token call is made, and a rotated refresh token is saved before it is used.
//   - No self-made 429: calls are paced below the limits of the account and of the
//     app, at close to full speed.
//   - Nothing leaks: errors, log lines and String() contain no credentials; bodies
//     are bounded and connections are reused; tokens go only to the API's host.
//
// The README says what each promise costs and what it does not cover.
//
// # Pacing
//
// A [Limiter] gives each attempt its turn. The default is a [Pacer]. It starts
// with the limits of the app's [Access] and corrects them by the API's headers.
// [WithLimiter] sets another one, such as that of module redislimit, which paces
// all processes of a fleet with one Redis. Calls of one account and category go
// first come, first served. With [AtPriority], interactive calls go before bulk
// ones. A call that would have to wait beyond its deadline is refused at once
// with [ErrPaced] and the time.
//
// # Accounts and tokens
//
// A [TokenStore] keeps the tokens of an App's accounts. [App].OAuth connects
// accounts with two HTTP handlers. From then on the library refreshes their
// tokens before they expire and after a 401, once for all processes. If
// Pinterest refuses a refresh token, the access token is used until it ends: an
// [EventQuarantined] reports it. Then the account is marked as disconnected: an
// [EventDisconnected] reports it, and calls fail at once with [ErrDisconnected]
// until its owner connects it again. If several accounts in a row are refused, or
// the app itself is, nobody is disconnected until a refresh succeeds: an
// [EventRefreshPaused] reports that. [App.RefreshEvery], or [App.RefreshDue] run once a day, refreshes the tokens
// of accounts that make no calls. Every process looks at the store again before it
// uses a token for more than 30 seconds. Call [App.Shutdown] before the process ends:
// it waits until rotated tokens are saved.
//
// # Testing
//
// Package pinteresttest is a fake of the API that fails on demand. It is for the
// tests of programs that use this package.
//
// # Operations of your own
//
// This section is for authors of operations that this package does not have, in
// a program or in another package. Everything that [PinsService] uses is
// exported.
//
// An operation is an [Operation] value, which describes it, and a method that
// calls one of these functions:
//
//   - [Call] returns a result, [List] a [Page], and [All] an iterator over all pages.
//     [Client.Do] decodes into a value of the caller's.
//   - [CreateOnce] carries out a create at most once for a key, and [Resolve] finds
//     out what became of an uncertain one. [Client.Intent] describes a create before
//     it is sent, for a program that keeps its own records.
//   - [Client.Download] writes the file at a signed URL to an io.Writer.
//
// [Request] contains the values: path, query, body, and the [Lookup] of a create.
// A Lookup says which list contains the result, and which item of it matches.
// Without one, an ambiguous create always ends uncertain:
//
//	type shelfWant struct{ BoardID, Name string }
//
//	func (w shelfWant) lookup() pinterest.Lookup[Shelf] {
//		return pinterest.Lookup[Shelf]{
//			Want:    w, // stored in an Uncertain, for Resolve
//			List:    opShelvesList,
//			In:      pinterest.Request{Path: []string{w.BoardID}},
//			Match:   func(s *Shelf) bool { return s.Name == w.Name },
//			Made:    func(s *Shelf) (string, time.Time) { return s.ID, time.Time{} },
//			Untimed: true, // shelves have no time of creation
//		}
//	}
//
//	func createShelf(ctx context.Context, c *pinterest.Client, boardID string, shelf ShelfCreate, opts ...pinterest.CallOption) (*Shelf, error) {
//		want := shelfWant{boardID, shelf.Name}
//		return pinterest.Call[Shelf](ctx, c, opShelvesCreate, pinterest.Request{Path: []string{boardID}, Body: shelf, Lookup: want.lookup()}, opts...)
//	}
//
// The example Operation has all of it, and a test with a lost answer.
//
// Bodies, options and results may have methods that the library calls:
//
//   - Validate() error, of a body, of its elements or of options, is called before
//     anything is sent. [Check] and [OneOf] help to write one: they collect every
//     wrong field as a [FieldError].
//   - Complete() bool, of a result (see [Completer]), says whether a 2xx answer
//     contained the result.
//
// A [BatchResult] is the result of an operation on many items: each item has its
// value, or an *[Error] that the same table classified. A [Stream] is a body that
// is read while it is sent, such as an upload. [RawTo] returns the bytes of an
// answer, and [UsingToken] authorizes one call with another token.
//
// # Limiters, stores, ledgers and rules of your own
//
// These types are for authors of parts that the library calls. Each has a test
// suite or a default that shows what is expected:
//
//   - limiters: [Limiter], [Permit], [PaceWait], [PaceError], [RateLimit], [Limits],
//     [Quota], [Usage]; suite pinteresttest/limitertest
//   - token stores: [TokenStore], [Token], [PinterestUser], [Disconnection],
//     [ErrTokenConflict]; suite
//     pinteresttest/storetest
//   - ledgers: [Ledger]; suite pinteresttest/ledgertest
//   - rows of the table: [Rule], [Failure], [Phase], [Reason], [Action]; the defaults
//     are those of [DefaultRules]
//   - clocks, for tests: [Clock]; package pinteresttest has one
package pinterest
