// Package pinterest calls the Pinterest v5 API. It is made for programs that
// publish for other people, such as schedulers and agencies' tools, where it
// matters more what happens when the answer is not 200 than how a field is
// spelled. Every call ends in an answer that the program can act on, and
// nothing happens twice.
//
//	client, err := pinterest.New(pinterest.WithAccessToken(token))
//	...
//	pin, err := client.Pins.Create(ctx, pinterest.PinCreate{
//		BoardID:     "549755885175",
//		Title:       "Oak kitchen",
//		MediaSource: pinterest.ImageURL("https://shop.example/oak.jpg"),
//	})
//
// One [Client] serves one account, and many goroutines. An [App] serves many
// accounts and gives out a client for each.
//
// # The path of a call
//
// Every call takes the same path, in this order:
//
//	validate -> [ pace -> authorize -> send -> read -> decode -> classify -> act ]* -> result
//	  once                          each attempt
//
// It is validated before anything is sent: all wrong fields come back at once.
// Each attempt waits for its turn below the rate limits; gets an access token,
// refreshed when it is due, and is checked for the scopes it needs; is sent once, with a
// timeout of its own; and its answer is read whole, within a bound. A failure is
// looked up in the table, and the library acts on what the table says. Equal
// creates of one client take this path one after another. The methods of the
// services and [Client.Do] differ in nothing but their types.
//
// # The table
//
// A failed attempt is described by a [Failure]: its [Phase] (not sent, unanswered,
// answered), status, Pinterest's inner code and message, and the [Kind] of the
// operation. A table of [Rule] values turns this into
//
//   - a [Class]: what it was. Each class is an error, such as [ErrThrottled], that
//     errors.Is finds;
//   - an [Action]: what the library does. It fails, refreshes the token once, or
//     backs off and sends again. There is nothing else;
//   - a [Disposition]: what the caller should do when the library has given up.
//
// The first row that matches decides. [DefaultRules] returns the table, the
// README shows it, and [WithRules] puts rows in front of it. How long and how
// often the library backs off is [RetryPolicy]: by default 5 attempts, waiting
// what the API asked for, or else from 2 or 5 seconds doubling to 60. A wait
// that does not fit the caller's deadline, or that the API wants longer than
// 60 seconds, is not begun: the call ends at once with the time in
// Error.RetryAt.
//
// # Errors
//
// Every failure is an *[Error]. Its Disposition is the one thing to switch over:
//
//   - fix: the request, the app or its scopes are wrong. The same call fails again.
//   - reauthorize: the account is disconnected. Its owner has to connect it again.
//   - park: enqueue it again, not before RetryAt.
//   - review: a person has to look at it.
//   - uncertain: it may have happened, and sending it again may make a second one.
//
// # Creates
//
// An operation is a read, an idempotent write, or a create: one whose repetition
// makes a second thing. A create is ambiguous when it may have taken effect
// although no good answer came: the connection broke, or the API answered 5xx
// or one of two 400s that it gives for failures of its own. Pinterest has no
// idempotency keys. So an ambiguous create is reconciled: it is looked up in the
// list where it would stand. What is found is adopted as the result. What is
// absent, in look-ups spread over [RetryPolicy].SettleTime, is sent again. What cannot
// be told ends uncertain, with an [Uncertain] value that can be stored and given to
// [Client.Resolve] later. [PinsService.CreateOnce] adds a [Ledger], which makes it hold
// across crashes and processes.
//
// # Promises
//
//   - No duplicates, no losses: a create makes at most one thing, and the caller
//     learns its id, or that it is uncertain.
//   - One refresh: however many calls and processes meet an expired token at once,
//     one token call is made, and a rotated refresh token is saved before it is used.
//   - No self-made 429: calls are paced below the limits of the account and of the
//     app, at close to full speed.
//   - Nothing leaks: no credential stands in an error, a log line or a String();
//     bodies are bounded and connections reused; tokens go to the API's host alone.
//
// The README says what each costs and what it does not cover.
//
// # Pacing
//
// A [Limiter] gives each attempt its turn. The default, a [Pacer], knows the limits
// of the app's [Access] and corrects them by the API's headers; [WithLimiter] takes
// another, such as that of module redislimit, which paces a fleet by one Redis.
// First come, first served within an account and category; [AtPriority] lets
// interactive calls go before bulk ones. What would have to wait beyond the
// context's deadline is refused at once, with [ErrPaced] and the time.
//
// # Accounts and tokens
//
// The tokens of an App's accounts are in a [TokenStore]. [App].OAuth connects
// accounts, with two HTTP handlers; from then on tokens are refreshed ahead of their
// end and after a 401, once however many processes there are. When Pinterest
// refuses a refresh token for good the account is marked as disconnected, its calls
// end at once with [ErrDisconnected], and an [EventDisconnected] tells of it, until
// its owner connects it again. [App.RefreshDue], run once a day, keeps the accounts
// connected that nobody calls for.
//
// # Testing
//
// Package pinteresttest is a fake of the API that goes wrong on demand, for the tests
// of programs that use this package.
package pinterest
