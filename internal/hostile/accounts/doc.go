// Package accounts holds no code. Its tests attack the promise that accounts
// stay connected: with a token endpoint, an API, token stores and browsers that
// do what they should not. They use exported names only.
package accounts
