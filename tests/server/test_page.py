"""The web page in a headless Chromium: send, stream, stop, pictures, and nothing a model writes can run."""

import base64
import os
import pathlib
import shutil
import time

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="NOTICE: needs chromium and chromium-driver")
# A red dot.
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0Y4OHwAAAABJRU5ErkJggg==")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    from selenium import webdriver
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1100,820",
                 "--force-color-profile=srgb", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.set_script_timeout(20)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, strict):
    from selenium.webdriver.support.ui import WebDriverWait
    browser.get(strict.url)
    WebDriverWait(browser, 10).until(lambda d: d.execute_script("return document.getElementById('model').value") == "scripted")
    return browser


def wait(page, script, seconds=10):
    """Until the script's value is true; returns it."""
    deadline = time.monotonic() + seconds
    while not (value := page.execute_script(f"return {script}")):
        assert time.monotonic() < deadline, f"{script} did not come true; {page.get_log('browser')}"
        time.sleep(0.05)
    return value


def send(page, text):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    page.find_element(By.ID, "prompt").send_keys(text + Keys.ENTER)


IDLE = "!document.querySelector('.busy') && document.querySelectorAll('.message.assistant').length > 0"


def last_text(page):
    return page.execute_script("return [...document.querySelectorAll('.message.assistant .text')].at(-1).textContent")


def picture(page, name):
    """For docs/images, when CARAT_PICTURES names a folder."""
    if folder := os.environ.get("CARAT_PICTURES"):
        page.save_screenshot(str(pathlib.Path(folder) / name))


def test_sends_and_streams(page):
    picture(page, "web-page-empty.png")
    send(page, "Hi")
    wait(page, IDLE)
    assert last_text(page) == "Hello there! How can I help you today?"
    figures = page.execute_script("return document.querySelector('.message.assistant .figures').textContent")
    assert "tokens" in figures and "tokens/s" in figures


def test_ideas_are_asked(page):
    page.execute_script("document.querySelector('#ideas button').click()")
    wait(page, IDLE)
    assert last_text(page).startswith("A starter is flour and water")
    picture(page, "web-page.png")


def test_stops_and_tries_again(page):
    send(page, "count slowly")
    wait(page, "(document.querySelector('.message.assistant .text')?.textContent || '').includes('three')")
    page.execute_script("document.getElementById('send').click()")
    wait(page, IDLE)
    stopped = last_text(page)
    assert stopped.startswith("one two three") and not stopped.endswith("nineteen twenty")
    assert page.execute_script("return document.querySelector('.message.assistant .figures').textContent") == "stopped"
    page.execute_script("document.querySelector('.message.assistant .retry').click()")
    wait(page, "!document.querySelector('.busy') && document.querySelector('.message.assistant .text').textContent.endsWith('nineteen twenty')")
    page.execute_script("document.querySelector('.message.user .edit').click()")
    assert page.execute_script("return document.getElementById('prompt').value") == "count slowly"
    assert page.execute_script("return document.querySelectorAll('.message').length") == 0


def test_thoughts_are_folded(page):
    page.execute_script("document.getElementById('think').click()")
    send(page, "ponder")
    wait(page, IDLE)
    thought = "document.querySelector('.message.assistant .thought')"
    assert page.execute_script(f"return !{thought}.hidden && !{thought}.open")
    assert page.execute_script(f"return {thought}.querySelector('.thought-text').textContent") == "Let me see. It is simple."
    assert last_text(page) == "The answer is 42."
    page.execute_script("document.getElementById('think').click()")


def test_nothing_a_model_writes_can_run(page):
    send(page, "markdown")
    wait(page, IDLE)
    assert page.title == "carat"
    text = "document.querySelector('.message.assistant .text')"
    assert page.execute_script(f"return {text}.querySelectorAll('img, script').length") == 0
    assert page.execute_script(f"return [...{text}.querySelectorAll('a')].map(a => a.href + ' ' + a.rel)") == [
        "https://example.org/ noopener noreferrer"]
    assert "<script>" in last_text(page)
    assert page.execute_script(f"return {text}.querySelectorAll('h3, strong, ol li, table, blockquote, .code').length") == 8
    picture(page, "web-page-markdown.png")


def test_tools(page):
    page.execute_script("""
      const form = document.querySelector('#settings form');
      form.elements.tools.value = '[{"name": "weather", "parameters": {"type": "object"}}]';
      form.dispatchEvent(new Event('input'));
      document.getElementById('think').click();""")  # without it, the prompt ends with an empty thought
    send(page, "the weather in Oslo")
    wait(page, "document.querySelector('.call input')")
    assert "Oslo" in page.execute_script("return document.querySelector('.call pre').textContent")
    page.execute_script("""
      document.querySelector('.call input').value = '18 degrees';
      document.querySelector('.call button').click();""")
    wait(page, f"document.querySelectorAll('.message.assistant').length == 2 && {IDLE}")
    assert last_text(page) == "It is 18 degrees in Oslo."
    page.execute_script("document.getElementById('think').click(); localStorage.clear()")


def test_pictures_are_attached(page, tmp_path):
    from selenium.webdriver.common.by import By
    file = tmp_path / "dot.png"
    file.write_bytes(PNG)
    page.find_element(By.ID, "files").send_keys(str(file))
    wait(page, "document.querySelector('#attachments img')")
    send(page, "What is this?")
    wait(page, IDLE)
    assert page.execute_script("return document.querySelector('.message.user .media img').naturalWidth") == 5
    # The scripted model answers, or says that it can't see: either way the server understood what was sent.
    problem = page.execute_script("return document.querySelector('.message.assistant .problem').textContent")
    assert last_text(page) or "picture" in problem or "image" in problem or "media" in problem


def test_fits_a_phone_and_the_dark(page):
    send(page, "markdown")
    wait(page, IDLE)
    page.set_window_size(500, 800)
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
    time.sleep(0.3)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 360
    assert page.execute_script("return getComputedStyle(document.body).backgroundColor") == "rgb(20, 18, 27)"
    picture(page, "web-page-phone.png")
    page.execute_script("document.getElementById('open-settings').click()")
    time.sleep(0.3)
    picture(page, "web-page-settings.png")
    page.execute_script("document.getElementById('settings').close()")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.set_window_size(1100, 820)


def test_is_accessible_and_makes_no_request_elsewhere(page, strict):
    unnamed = page.execute_script("""
      return [...document.querySelectorAll('button, input, select, textarea')].filter(e => e.closest('template') === null)
        .filter(e => !(e.textContent.trim() || e.getAttribute('aria-label') || e.title || e.labels?.length)).map(e => e.outerHTML)""")
    assert unnamed == []
    loaded = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert loaded and all(url.startswith(strict.url) for url in loaded)
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE" and "400" not in entry["message"]] == []
