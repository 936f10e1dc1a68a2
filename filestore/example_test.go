package filestore_test

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"log"
	"os"

	"github.com/pinterest-go/pinterest"
	"github.com/pinterest-go/pinterest/filestore"
	"github.com/pinterest-go/pinterest/pinteresttest"
)

// cipherOf returns AES-GCM with a key of 32 bytes. A program gets its keys from where it
// keeps secrets.
func cipherOf(key string) cipher.AEAD {
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		log.Panic(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		log.Panic(err)
	}
	return aead
}

// The key that encrypts the tokens is changed while calls go on. Each step is a change of
// configuration, such as a rolling deployment, and begins when all processes have taken
// the one before. The stores of module sqlstore have the same options and methods.
func ExampleStore_Reencrypt() {
	ctx := context.Background()
	srv := pinteresttest.NewServer()
	defer srv.Close()
	dir, err := os.MkdirTemp("", "tokens")
	if err != nil {
		log.Panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()

	// process is one of the application's processes. It makes a call.
	process := func(what string, keys filestore.Option) *filestore.Store {
		store, err := filestore.Open(dir, keys)
		if err != nil {
			log.Panic(err)
		}
		app, err := pinterest.NewApp(
			pinterest.WithTokenStore(store), pinterest.WithBaseURL(srv.URL),
			pinterest.WithOAuth(pinterest.OAuth{ClientID: srv.App().ID, ClientSecret: srv.App().Secret}),
		)
		if err != nil {
			log.Panic(err)
		}
		_, err = app.Client("shop-1").Account.Get(ctx)
		fmt.Println(what+":", err)
		return store
	}

	old, next := cipherOf("the key of the year 2026........"), cipherOf("the key of the year 2027........")
	store, err := filestore.Open(dir, filestore.WithAEAD(old))
	if err != nil {
		log.Panic(err)
	}
	owner := srv.AddAccount("alice")
	if _, err := store.Save(ctx, "shop-1", &pinterest.Token{AccessToken: owner.AccessToken, RefreshToken: owner.RefreshToken}); err != nil {
		log.Panic(err)
	}

	process("the old key", filestore.WithAEAD(old))
	process("1. all can read the next key", filestore.WithAEAD(old, next))
	store = process("2. the next key encrypts", filestore.WithAEAD(next, old))

	// 3. One process encrypts what was saved before. It may be called again.
	tokens, err := store.Reencrypt(ctx)
	fmt.Println("3. encrypted again:", tokens, err)

	process("4. without the old key", filestore.WithAEAD(next))

	// Output:
	// the old key: <nil>
	// 1. all can read the next key: <nil>
	// 2. the next key encrypts: <nil>
	// 3. encrypted again: 1 <nil>
	// 4. without the old key: <nil>
}
