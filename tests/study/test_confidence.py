"""x"""
import shutil
def test_x(sure_study):
    shutil.rmtree("/tmp/sure_out/t2", ignore_errors=True); shutil.copytree(sure_study.out, "/tmp/sure_out/t2")
    print("\n".join(sure_study.lines))
