"""The main job as a story that checks itself: real files, real payments, real refusals, an audit."""
