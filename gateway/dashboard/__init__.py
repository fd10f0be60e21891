"""The dashboard: pages for people, made on the server, under the admin key.

A page is one function: read the state that its URL holds, ask `reports` for figures, render
a template. With scripts the same addresses answer with the part of a page that has changed;
without them everything works by links and forms.
"""
