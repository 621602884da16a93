"""The Gradio app: layout and wiring only; what it shows comes from pure functions and the library."""
