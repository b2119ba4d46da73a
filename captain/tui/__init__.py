"""The screen: the only room that knows Textual. It draws what the engine recorded and never judges."""
