"""The browser draws text, which takes fonts and their configuration."""

from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.parts.chromium import CHROMIUM_FLAGS, chromium_executable

PAGE = """data:text/html,<title>Candles</title>
<canvas id=drawn width=200 height=40></canvas><p id=filled></p>
<script>
  const pen = document.getElementById('drawn').getContext('2d');
  pen.font = '20px sans-serif';
  pen.fillText('open high low close', 5, 25);
  const pixels = pen.getImageData(0, 0, 200, 40).data;
  document.getElementById('filled').textContent = pixels.filter((v, i) => i %25 4 == 3 && v).length;
  document.title += ' ' + pen.measureText('iiii').width + ' ' + pen.measureText('WWWW').width;
</script>"""


def test_text_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium_executable(), args=list(CHROMIUM_FLAGS)
        )
        page = browser.new_page(viewport={"width": 300, "height": 120})
        page.goto(PAGE)
        drawn_pixels = int(page.inner_text("#filled"))
        _, narrow, wide = page.title().split()
        page.screenshot(path=picture)
        browser.close()
    # Without fonts nothing is drawn, or each character is the same empty box.
    assert drawn_pixels > 300
    assert float(wide) > 2 * float(narrow)
    assert picture.read_bytes().startswith(b"\x89PNG")
