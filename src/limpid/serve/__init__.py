"""``limpid serve``: a page with a queue for people who would rather click, and an HTTP interface for programs.

The server itself imports neither torch nor a codec: each job is a ``limpid upscale --json`` process, and what must look
into films is done by processes that end. docs/serve.md is for users, docs/serve-api.md has the interface.

==================  ==================================================================================================
`config`            what a server is told when it starts, and its limits
`guard`             who may ask: Host, Origin, token, sizes of bodies; the headers of every answer
`roots`, `listing`  paths inside the allowed folders, and what they hold
`database`          the state in SQLite, and numbered events; `jobs` asks, `changes` changes
`runner`            the small process around a job, which ends it when the server dies
`attending`         one job from its start to its end; `scheduler` runs as many as may be at once
`hub`, `stream`     events, numbered, to any number of listeners, with replay
`app`               all of it put together; ``routes_*`` are the paths
==================  ==================================================================================================
"""
