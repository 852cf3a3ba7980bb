"""The API's description: `/openapi.json`, and a page to read it and try it, without internet."""
