"""The page in a real browser: nothing executes, nothing is loaded, all is drawn, and a phone at night shows it."""

import json
import re
import shutil
from pathlib import Path

import pytest

from mpc.report.page import page
from tests.mpc.report.example import SCRIPT, example

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

MEASURE = Path(__file__).with_name("measure.js").read_text("utf-8")


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("no chromium and chromedriver here; on Debian: apt-get install chromium chromium-driver")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    for each in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(each)
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def text():
    return page([example()])


def show(browser, path, width, mode="light", media="screen"):
    feature = [{"name": "prefers-color-scheme", "value": mode}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": feature, "media": media})
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(path.as_uri())
    return browser.execute_script(MEASURE)


def test_it_is_drawn_and_read_everywhere(browser, text, tmp_path):
    path = tmp_path / "run.html"
    path.write_text(text)
    figures = 2 + 3 + 2 + 1 + 4 + 2  # curves, two qualities, links, traffic, fixed point
    for width, mode in ((1280, "light"), (1280, "dark"), (360, "light"), (360, "dark")):
        seen = show(browser, path, width, mode)
        assert len(seen["figures"]) == figures
        for each in seen["figures"]:
            assert min(each["width"], each["height"], each["inner"]) > 100
            assert each["paths"] >= 3
            assert each["colours"] >= 3
            assert each["left"] >= 0
            assert each["right"] <= width
            assert each["out"] <= 4, "text beyond the figure's edge"
        assert seen["overflow"] <= 0
        assert seen["wide"] == []
        assert len(seen["ids"]) == len(set(seen["ids"])), "ids of several figures are one another's"
        assert seen["dangling"] == []
        drawn = [each for each in seen["texts"] if each["svg"]]
        assert len(drawn) > 100
        assert min(each["size"] for each in drawn) >= 10
        low = [each for each in seen["texts"] if each["contrast"] < 4.5]
        assert low == []
    assert browser.get_log("browser") == []
    events = [json.loads(each["message"])["message"] for each in browser.get_log("performance")]
    asked = {each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"}
    assert asked <= {path.as_uri(), "data:,"}
    assert path.as_uri() in asked, "the log of requests is on"
    assert show(browser, path, 800, media="print")["overflow"] <= 0


def test_names_are_text_and_nothing_executes(browser, text, tmp_path):
    path = tmp_path / "run.html"
    path.write_text(text)
    seen = show(browser, path, 1280)
    assert sum(SCRIPT in each["text"] for each in seen["texts"]) >= 5
    assert any(each["text"].startswith(r"mean $\foo$") for each in seen["texts"] if each["svg"]), "not mathematics"
    assert browser.execute_script("return document.querySelectorAll('script').length") == 0
    foreign = "<script>document.title = 'hacked'</script><p style='color: red'>x</p>"
    path.write_text(text.replace("</main>", f"{foreign}</main>"))
    browser.get(path.as_uri())
    assert "hacked" not in browser.title
    assert len(browser.get_log("browser")) == 2, "the page's own policy refuses scripts and styles that are not its own"


def test_a_run_that_failed_and_learned_nothing(browser, tmp_path):
    from mpc.report.parts import Ended

    nothing = {"scores": {}, "curves": (), "quality": (), "weights": (), "reveals": (), "layers": (), "operations": ()}
    ended = Ended(well=False, kind="PeerLost", text="hospital_b ended its program", rank=1)
    path = tmp_path / "run.html"
    path.write_text(page([example(ended=ended, job=None, timeline=(), peers=(), models=(), **nothing)]))
    seen = show(browser, path, 360)
    said = " ".join(each["text"] for each in seen["texts"])
    for each in ("ended with PeerLost", "concerning hospital_b", "Nothing was revealed to anybody", "No curve was"):
        assert each in said
    assert seen["figures"] == []
    assert seen["overflow"] <= 0
    assert browser.get_log("browser") == []


def test_a_page_of_the_same_run_is_the_same(text):
    assert page([example()]) == text
    assert "<script" not in text
    assert "style=" not in text
    assert not re.search(r"(src|href)=\"(?!#|data:,)", text)
    assert "http" not in re.sub(r"http-equiv", "", text)
