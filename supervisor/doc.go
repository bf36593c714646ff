// Package supervisor joins the parts of multisite. (The architecture page is written below as the parts settle.)
package supervisor
