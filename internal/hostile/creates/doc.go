// Package creates holds no code. Its tests attack the first promise of the
// library, that nothing happens twice, with a Pinterest of their own that keeps
// its own record of what was made. They use exported names only.
package creates
