"""The web page in a headless Chromium: send, stream, stop, pictures, the microphone, and nothing a model writes can
run."""

import base64
import io
import os
import pathlib
import shutil
import time
import wave

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
                 "--force-color-profile=srgb", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                 f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
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


GREETING = "Hello there! How can I help you today?"
IDLE = "!document.querySelector('.busy') && document.querySelectorAll('.message.assistant').length > 0"


def last_text(page):
    return page.execute_script("return [...document.querySelectorAll('.message.assistant .text')].at(-1).textContent")


def problem(page):
    return page.execute_script("return [...document.querySelectorAll('.message.assistant .problem')].at(-1).textContent")


def picture(page, name):
    """For docs/images, when CARAT_PICTURES names a folder."""
    if folder := os.environ.get("CARAT_PICTURES"):
        page.save_screenshot(str(pathlib.Path(folder) / name))


def test_sends_and_streams(page):
    picture(page, "web-page-empty.png")
    send(page, "Hi")
    wait(page, IDLE)
    assert last_text(page) == GREETING
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
    assert last_text(page) == GREETING and problem(page) == ""


# A drop and a paste of a picture that is made of these bytes.
FILE = """
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(arguments[0]), (c) => c.charCodeAt(0))], "dot.png", {type: "image/png"}));"""
DROP = FILE + "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true}));"
PASTE = FILE + """
  document.getElementById('prompt').dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, cancelable: true}));"""


def test_pictures_are_dropped_pasted_and_removed(page, tmp_path):
    from selenium.webdriver.common.by import By
    for script in (DROP, PASTE):
        page.execute_script(script, base64.b64encode(PNG).decode())
    wait(page, "document.querySelectorAll('#attachments img').length === 2")
    page.find_element(By.CSS_SELECTOR, "#attachments button").click()
    wait(page, "document.querySelectorAll('#attachments img').length === 1")
    other = tmp_path / "notes.txt"
    other.write_text("no picture")
    page.find_element(By.ID, "files").send_keys(str(other))
    wait(page, "document.getElementById('status').textContent.includes('notes.txt is neither')")
    page.find_element(By.ID, "send").click()  # a picture without words
    wait(page, IDLE)
    assert last_text(page) == GREETING
    assert page.execute_script("return document.querySelectorAll('.message.user .media img').length") == 1


def test_a_damaged_picture_is_told_of_and_the_conversation_goes_on(page, tmp_path):
    from selenium.webdriver.common.by import By
    file = tmp_path / "damaged.png"
    file.write_bytes(PNG[:40])
    page.find_element(By.ID, "files").send_keys(str(file))
    wait(page, "document.querySelector('#attachments img')")
    send(page, "What is this?")
    wait(page, IDLE)
    assert "image" in problem(page) and last_text(page) == ""
    page.execute_script("document.querySelector('.message.user .edit').click()")
    page.find_element(By.CSS_SELECTOR, "#attachments button").click()
    send(page, "")
    wait(page, IDLE)
    assert last_text(page) == GREETING and problem(page) == ""


def hear_streams(page):
    """From now on the page's `streams` are those that it got of the microphone."""
    page.execute_script("""
      window.streams = [];
      const get = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        const stream = await get(wanted);
        window.streams.push(stream);
        return stream;
      };""")


RELEASED = "window.streams.every((stream) => stream.getTracks().every((track) => track.readyState === 'ended'))"
RECORDING = "document.getElementById('status').textContent.startsWith('Recording')"


def recorded_seconds(page):
    """Of the recording in the last message: how long it is; it has to be sound at the model's rate."""
    url = page.execute_script("return [...document.querySelectorAll('.message.user .media audio')].at(-1).src")
    assert url.startswith("data:audio/wav;base64,")
    with wave.open(io.BytesIO(base64.b64decode(url.split(",")[1]))) as sound:
        assert (sound.getnchannels(), sound.getsampwidth(), sound.getframerate()) == (1, 2, 16000)
        samples = sound.readframes(sound.getnframes())
        assert len(samples) == 2 * sound.getnframes() and any(samples), "silence"
        return sound.getnframes() / 16000


def test_the_microphone(page):
    """Chromium's stand-in for one beeps every second."""
    from selenium.webdriver.common.by import By
    hear_streams(page)
    button = page.find_element(By.ID, "record")
    button.click()
    wait(page, RECORDING)
    assert button.get_attribute("aria-pressed") == "true"
    time.sleep(1.5)
    button.click()
    wait(page, "document.querySelector('#attachments .chip')")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.execute_script(f"return window.streams.length === 1 && {RELEASED}")
    send(page, "What do you hear?")
    wait(page, IDLE)
    assert last_text(page) == GREETING and problem(page) == ""
    assert 1 < recorded_seconds(page) < 10


def test_sending_ends_the_recording(page):
    from selenium.webdriver.common.by import By
    hear_streams(page)
    page.find_element(By.ID, "record").click()
    wait(page, RECORDING)
    time.sleep(1.2)
    send(page, "What do you hear?")
    wait(page, IDLE)
    assert last_text(page) == GREETING and recorded_seconds(page) > 0.8
    assert page.execute_script(f"return window.streams.length === 1 && {RELEASED}")


def test_a_microphone_pressed_twice_at_once_is_released(page):
    hear_streams(page)
    page.execute_script("document.getElementById('record').click(); document.getElementById('record').click();")
    wait(page, f"window.streams.length > 0 && {RELEASED}")
    assert page.execute_script("return document.getElementById('record').getAttribute('aria-pressed')") == "false"
    assert page.execute_script("return window.streams.length") == 1


def test_a_microphone_that_is_refused(page):
    from selenium.webdriver.common.by import By
    page.execute_script("""
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('Permission denied', 'NotAllowedError'); };""")
    page.find_element(By.ID, "record").click()
    wait(page, "document.getElementById('status').textContent === 'No microphone: Permission denied'")
    assert page.find_element(By.ID, "record").get_attribute("aria-pressed") == "false"


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
