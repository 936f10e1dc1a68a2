package pinterest

import (
	"context"
	"net/http"
)

// OpUserAccountGet reads the account. Treat it as a constant.
var OpUserAccountGet = Operation{ID: "user_account/get", Method: http.MethodGet, Path: "/user_account", Kind: KindRead, Category: CategoryOrgRead, Scopes: []Scope{ScopeUserAccountsRead}}

// AccountService calls the operations on the account itself.
type AccountService struct{ client *Client }

// Account is a Pinterest user account as the API returns it. Values that the API
// does not know are nil.
type Account struct {
	ID             string      `json:"id"`
	Username       string      `json:"username"`
	Type           AccountType `json:"account_type"`
	BusinessName   *string     `json:"business_name"`
	About          string      `json:"about"`
	ProfileImage   string      `json:"profile_image"` // a URL
	WebsiteURL     string      `json:"website_url"`
	BoardCount     *int        `json:"board_count"`
	PinCount       *int        `json:"pin_count"` // created and saved
	FollowerCount  *int        `json:"follower_count"`
	FollowingCount *int        `json:"following_count"`
	MonthlyViews   *int        `json:"monthly_views"` // -1 has been seen if it is not known
}

// Complete implements [Completer].
func (a *Account) Complete() bool { return a.Username != "" || a.ID != "" }

// AccountType says whether an account is a person's or a business's. Values without
// a constant are kept as they are.
type AccountType string

// The types of accounts.
const (
	AccountPinner   AccountType = "PINNER"
	AccountBusiness AccountType = "BUSINESS"
)

// Get returns the account that the token belongs to or, with [AdAccount], the
// owner of that ad account (operation user_account/get).
// https://developers.pinterest.com/docs/api/v5/user_account-get
func (s *AccountService) Get(ctx context.Context, opts ...CallOption) (*Account, error) {
	return Call[Account](ctx, s.client, OpUserAccountGet, Request{}, opts...)
}
