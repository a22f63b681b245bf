"""The web console in a real browser.

    def test_a_page(console):
        page = console.open("/users")       # signed in; checked by axe in four looks, with a picture
        page.get_by_role("link", name="Create").click()
        console.look("users-new")           # the same check for what is shown now

A test fails when the browser's console says anything (a refused inline script or style included).
"""

from .browser import Console, launch

__all__ = ["Console", "launch"]
