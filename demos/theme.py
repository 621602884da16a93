"""How the page looks: ink on paper, and colour only where it means something.

Warm is a weight above 1, cool one below; green is as asked, red is missed. Fonts are the system's: nothing is fetched.
"""

from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

_INK, _PAPER, _CARD, _LINE = "#1d1c1a", "#faf9f6", "#ffffff", "#e4e1da"
_CHALK, _NIGHT, _SLATE, _SEAM = "#eceae5", "#161513", "#1e1d1a", "#35332e"
_FAINT, _DIM = "#6d6962", "#a09b92"

_FONT = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Noto Sans", "sans-serif")
_MONO = ("ui-monospace", "SF Mono", "Menlo", "Consolas", "monospace")

CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

# colour, and the same in the dark
_PAIRS = {
    "body_background_fill": (_PAPER, _NIGHT),
    "body_text_color": (_INK, _CHALK),
    "body_text_color_subdued": (_FAINT, _DIM),
    "background_fill_primary": (_CARD, _SLATE),
    "background_fill_secondary": (_PAPER, _NIGHT),
    "border_color_primary": (_LINE, _SEAM),
    "border_color_accent": (_INK, _CHALK),
    "color_accent_soft": ("#efece5", "#2a2824"),
    "link_text_color": (_INK, _CHALK),
    "link_text_color_hover": (_INK, _CHALK),
    "link_text_color_visited": (_INK, _CHALK),
    "link_text_color_active": (_INK, _CHALK),
    "block_background_fill": (_PAPER, _NIGHT),
    "block_border_color": (_LINE, _SEAM),
    "block_label_background_fill": (_PAPER, _NIGHT),
    "block_label_text_color": (_FAINT, _DIM),
    "block_title_text_color": (_FAINT, _DIM),
    "block_info_text_color": (_FAINT, _DIM),
    "input_background_fill": (_CARD, _SLATE),
    "input_background_fill_focus": (_CARD, _SLATE),
    "input_border_color": (_LINE, _SEAM),
    "input_border_color_focus": (_INK, _CHALK),
    "input_placeholder_color": (_FAINT, _DIM),
    "slider_color": (_INK, _CHALK),
    "checkbox_background_color_selected": (_INK, "#77726a"),
    "checkbox_border_color_selected": (_INK, "#77726a"),
    "checkbox_label_background_fill": (_CARD, _SLATE),
    "checkbox_label_background_fill_selected": (_CARD, _SLATE),
    "button_primary_background_fill": (_INK, _CHALK),
    "button_primary_background_fill_hover": ("#3a3833", "#ffffff"),
    "button_primary_text_color": (_PAPER, _NIGHT),
    "button_primary_text_color_hover": (_PAPER, _NIGHT),
    "button_primary_border_color": (_INK, _CHALK),
    "button_secondary_background_fill": (_CARD, _SLATE),
    "button_secondary_background_fill_hover": ("#f1eee8", "#2a2824"),
    "button_secondary_border_color": (_LINE, _SEAM),
    "button_secondary_text_color": (_INK, _CHALK),
}


def theme() -> gr.themes.Base:
    """The page's theme."""
    both = {name: light for name, (light, _) in _PAIRS.items()}
    both |= {f"{name}_dark": dark for name, (_, dark) in _PAIRS.items()}
    return gr.themes.Base(
        primary_hue=colors.stone,
        secondary_hue=colors.stone,
        neutral_hue=colors.stone,
        text_size=sizes.text_md,
        radius_size=sizes.radius_sm,
        font=_FONT,
        font_mono=_MONO,
    ).set(
        **both,
        color_accent=_INK,
        block_border_width="0px",
        block_border_width_dark="0px",
        block_shadow="none",
        block_padding="0px",
        block_label_shadow="none",
        block_label_border_width="0px",
        block_title_text_weight="500",
        block_title_text_size="*text_sm",
        input_border_width="1px",
        input_shadow="none",
        input_shadow_focus="0 0 0 1px *input_border_color_focus",
        button_large_padding="10px 22px",
        button_large_text_weight="550",
        button_transition="background-color 120ms",
        layout_gap="18px",
        form_gap_width="0px",
    )
