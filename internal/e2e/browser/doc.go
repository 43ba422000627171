// Package browser tests the login form in Chromium: by keyboard, in dark and
// narrow windows, with cookies over a restart, and next to integrated login in a
// real Active Directory. All of it is in its tests.
package browser
